{
  description = "Bloud: installs self-hosted apps on a home server and shows what is really happening";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      each = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      packages = each (pkgs: rec {
        bloud = pkgs.callPackage ./nix/package.nix { };
        default = bloud;
      });

      nixosModules = {
        bloud = ./nix/module.nix;
        default = ./nix/module.nix;
      };

      checks = each (pkgs: {
        package = self.packages.${pkgs.stdenv.hostPlatform.system}.bloud;
        machine = pkgs.testers.runNixOSTest (import ./nix/test.nix { module = self.nixosModules.bloud; });
      });
    };
}
