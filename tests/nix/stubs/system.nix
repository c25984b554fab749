# Evaluates nix/module.nix with additional modules, and returns the units, users, containers and other options
# of the machine as data.
#   nix-instantiate --eval --strict --json --arg modules '[ … ]' system.nix
{
  modules,
  lib ? import ./lib.nix,
}:
let
  pkgs = import ./pkgs.nix { inherit lib; };
  utils = {
    escapeSystemdExecArgs = lib.concatMapStringsSep " " (
      argument: lib.replaceStrings [ "%" "$" ] [ "%%" "$$" ] (builtins.toJSON argument)
    );
  };
  system = lib.evalModules {
    specialArgs = { inherit pkgs utils lib; };
    modules = [
      ./nixos.nix
      ../../../nix/module.nix
    ]
    ++ modules;
  };
  inherit (system) config;
in
{
  failed = map (one: one.message) (lib.filter (one: !one.assertion) config.assertions);
  inherit (config.systemd) services sockets paths;
  tmpfiles = config.systemd.tmpfiles.rules;
  inherit (config.users) users groups;
  inherit (config.networking) firewall;
  postgresql = {
    inherit (config.services.postgresql)
      enable
      ensureDatabases
      ensureUsers
      identMap
      authentication
      ;
  };
  inherit (config.virtualisation.oci-containers) containers;
}
