# Reads apps.json, in which the agent (the services of Bloud) lists the installed apps, into the option
# `bloud.apps`. The values are defaults, so that the configuration of the machine can override any value.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.bloud;
  appOptions = import ./app-options.nix { inherit lib; };
  inherit (import ./app-sets.nix { inherit config lib; }) apps databases;

  inStore = lib.hasPrefix builtins.storeDir (toString cfg.apps.file);
  isPure = !(builtins ? currentSystem);
  document =
    if cfg.apps.file == null then
      { apps = [ ]; }
    else if isPure && !inStore then
      # Without the flag --impure, Nix can't read apps.json outside of the flake, and the rebuild would remove
      # every app.
      throw "services.bloud: the apps are in ${cfg.apps.file}, which is not part of your flake: build with --impure"
    else if builtins.pathExists cfg.apps.file then
      builtins.fromJSON (builtins.readFile cfg.apps.file)
    else
      {
        version = 1;
        apps = [ ];
      };
  listed =
    if document.version or 1 == 1 then
      document.apps
    else
      throw "services.bloud: ${cfg.apps.file} was written by another version of the agent: update agent and module";

  isName = name: builtins.match "[a-z][a-z0-9-]{0,62}" name != null;
  byName = lib.listToAttrs (
    map (
      entry:
      if isName entry.name then
        lib.nameValuePair entry.name (asDefaults entry)
      else
        throw "bloud: ${builtins.toJSON entry.name}: not an app name"
    ) listed
  );

  # Turns every value into a default that the operator can override, and each environment variable into a
  # default of its own.
  asDefaults =
    entry:
    let
      # Only the operator may set these three options, so values in apps.json are ignored.
      known = builtins.intersectAttrs (removeAttrs appOptions [
        "enable"
        "user"
        "extraOptions"
      ]) entry;
      nested = builtins.intersectAttrs {
        environment = null;
        secretFiles = null;
      } known;
    in
    lib.mapAttrs (_: lib.mkDefault) known // lib.mapAttrs (_: lib.mapAttrs (_: lib.mkDefault)) nested;

  variable = "[A-Za-z_][A-Za-z0-9_]*";
  each = check: message: lib.mapAttrsToList (name: app: {
    assertion = check name app;
    message = "bloud: ${name}: ${message}";
  });
in
{
  options.services.bloud.apps = {
    file = mkOption {
      type = types.nullOr types.str;
      default = "/var/lib/bloud/nixos/config/apps.json";
      description = "File that the agent writes. `null`: no file; all apps are declared in `bloud.apps`.";
    };
    listenAddress = mkOption {
      type = types.str;
      default = "127.0.0.1";
      description = ''
        Address on which apps listen. With `0.0.0.0` every app is reachable from other machines, because the
        ports of podman bypass the firewall of NixOS. Keep the default and put a reverse proxy in front instead.
      '';
    };
    network = {
      name = mkOption {
        type = types.strMatching "[a-z][a-z0-9]{0,12}";
        default = "bloud";
        description = "Name of the podman network on which apps reach each other by name.";
      };
      subnet = mkOption {
        type = types.strMatching "[0-9.]+/[0-9]+";
        default = "10.89.77.0/24";
        description = "Subnet of that network.";
      };
      gateway = mkOption {
        type = types.strMatching "[0-9.]+";
        default = "10.89.77.1";
        description = "This machine's address in that network; host.containers.internal in the containers.";
      };
    };
  };

  options.bloud.apps = mkOption {
    type = types.attrsOf (types.submodule { options = appOptions; });
    default = { };
    example = lib.literalExpression ''{ miniflux.environment.POLLING_FREQUENCY = "15"; jellyfin.enable = false; }'';
    description = "Apps: the agent's values as defaults, and your overrides.";
  };

  config = lib.mkIf cfg.enable {
    bloud.apps = byName;
    assertions =
      each (
        _: app:
        lib.all (key: builtins.match variable key != null) (lib.attrNames (app.environment // app.secretFiles))
      ) "the name of an environment variable is not valid" apps
      ++ each (name: _: isName name) "not an app name" apps
      ++ each (_: app: app.database.name == app.database.role) "database.name and database.role differ" databases
      ++ each (_: _: cfg.database.createLocally)
        "needs a PostgreSQL database, which requires services.bloud.database.createLocally = true"
        databases
      ++ each (_: app: lib.all (path: builtins.match ".*/[.][.](/.*)?" path == null) (
        map (volume: volume.container) (app.volumes ++ app.mounts)
        ++ lib.attrValues app.secretFiles
        ++ lib.optional (app.database != null) app.database.passwordFile
      )) "one of its paths contains '..'" apps;
  };
}
