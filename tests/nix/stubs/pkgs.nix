# Stand-in for the packages of nixpkgs, in which a package has only a name and a path.
{ lib }:
let
  package = name: {
    outPath = "/nix/store/00000000000000000000000000000000-${name}";
    type = "derivation";
    inherit name;
  };
  named = lib.genAttrs [
    "busybox"
    "coreutils"
    "findutils"
    "gitMinimal"
    "gnutar"
    "gzip"
    "podman"
    "util-linux"
    "xz"
  ] package;
  pkgs = named // {
    inherit lib;
    path = "/nix/store/00000000000000000000000000000000-nixpkgs";
    runtimeShell = "/nix/store/00000000000000000000000000000000-bash/bin/sh";
    nodejs_22 = package "nodejs-22.21.1" // {
      version = "22.21.1";
    };
    makeWrapper = package "make-wrapper";
    importNpmLock = {
      __functor = _: attributes: package "npm-deps" // attributes;
      npmConfigHook = package "npm-config-hook";
    };
    # The result contains the build arguments, so that tests can check them.
    buildNpmPackage = attributes: attributes // package "${attributes.pname}-${attributes.version}";
    dockerTools.buildImage = attributes: package attributes.tag;
    writeText = name: _: package name;
    runCommand = name: _: _: package name;
    testers.runNixOSTest = test: test { inherit pkgs lib; };
    callPackage =
      file: overrides:
      let
        function = import file;
      in
      function (builtins.intersectAttrs (builtins.functionArgs function) pkgs // overrides);
  };
in
pkgs
