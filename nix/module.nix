# Declares the options of the NixOS module. The imported files implement the options:
#   agent.nix           the services of the agent (relay and orchestrator), which run without root privileges
#   rebuild.nix         the services that need root: rebuild this machine, roll it back, delete app data
#   database.nix        PostgreSQL on this machine, accessed over its Unix socket without a password
#   apps.nix            the option bloud.apps, with defaults from apps.json, a file that the agent writes
#   containers.nix      a container for each app
#   app-databases.nix   a PostgreSQL database for each app that needs one
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption mkEnableOption types;
  cfg = config.services.bloud;
  setting = types.oneOf [
    types.str
    types.int
    types.bool
    (types.listOf types.str)
  ];
  # The option `settings` refuses these environment variables with the given reason or advice, because other
  # options of this module set them.
  reserved = {
    DATABASE_URL = "it would be world-readable in the Nix store; use services.bloud.database.urlFile";
    DATABASE_URL_FILE = "use services.bloud.database.urlFile";
    BLOUD_PORT = "use services.bloud.port";
    BLOUD_LISTEN = "use services.bloud.listenAddress";
    BLOUD_CATALOG_DIR = "use services.bloud.catalogDir";
    BLOUD_DATA_DIR = "it is always /var/lib/bloud; a file system can be mounted there";
    BLOUD_HOST_KIND = "it is always nixos";
    BLOUD_NIXOS_REBUILD = "use services.bloud.rebuildCommand";
  };
  chosen = lib.filter (name: cfg.settings ? ${name}) (lib.attrNames reserved);
in
{
  imports = [
    ./agent.nix
    ./rebuild.nix
    ./database.nix
    ./apps.nix
    ./containers.nix
    ./app-databases.nix
  ];

  options.services.bloud = {
    enable = mkEnableOption "Bloud, which installs self-hosted apps on this machine";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "Package of the agent.";
    };

    port = mkOption {
      type = types.port;
      default = 3000;
      description = "TCP port of the page and the API.";
    };

    listenAddress = mkOption {
      type = types.str;
      default = "127.0.0.1";
      example = "0.0.0.0";
      description = ''
        Address on which the page and the API listen. They have no sign-in: any client that reaches them may
        install and uninstall apps. Before you change this, put a reverse proxy with a sign-in in front.
      '';
    };

    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Opens `port` in the firewall. Also set a `listenAddress` that other machines can reach, and read the
        warning in its description.
      '';
    };

    settings = mkOption {
      type = types.submodule { freeformType = types.attrsOf setting; };
      default = { };
      example = {
        BLOUD_BASE_URLS = [ "https://{app}.home.example" ];
        BLOUD_BUILD_TIMEOUT = 3600;
      };
      description = ''
        Further settings of the agent, as environment variables of both processes. Lists are joined with commas.
        Do not put secrets here, because the Nix store is world-readable.
      '';
    };

    database = {
      createLocally = mkOption {
        type = types.bool;
        default = true;
        description = ''
          Use the PostgreSQL of this machine (`services.postgresql`) over its socket. Each system user is mapped
          to its database role, without a password. `false`: set `urlFile`.
        '';
      };
      urlFile = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/run/secrets/bloud-database-url";
        description = ''
          A file outside the Nix store, readable by root only, that contains
          `postgres://user:password@host/database`. The user must either have the right to create roles, or be
          a member of the roles in `sql/roles.sql`.
        '';
      };
      operators = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "alice" ];
        description = ''
          Users of this machine who may run `psql -U bloud_psql bloud_host_agent` (with `createLocally`).
          They can read all state and call the same verbs as the page. Root always has this right.
        '';
      };
    };

    flake = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/etc/nixos#myhost";
      description = ''
        The flake that this machine is built from, in the form that `nixos-rebuild --flake` accepts. `null`:
        channels, that is `/etc/nixos/configuration.nix`.
      '';
    };

    rebuildCommand = mkOption {
      type = types.listOf types.str;
      default = [
        "/run/current-system/sw/bin/nixos-rebuild"
        "switch"
      ]
      # apps.json is outside the flake, and Nix reads files outside the flake only with the flag --impure.
      ++ lib.optionals (cfg.flake != null) [
        "--flake"
        cfg.flake
        "--impure"
      ];
      defaultText = lib.literalExpression ''[ ".../nixos-rebuild" "switch" "--flake" flake "--impure" ]'';
      description = ''
        Command that root runs when apps are installed or uninstalled: a program and its arguments, not a
        shell line. The agent can neither choose the command nor add an argument.
      '';
    };

    rollbackCommand = mkOption {
      type = types.listOf types.str;
      default = [
        "/run/current-system/sw/bin/nixos-rebuild"
        "switch"
        "--rollback"
      ];
      description = ''
        Command that root runs to activate the previous generation: a program and its arguments, like
        `rebuildCommand`. The agent requests it only if the previous generation is the expected one.
      '';
    };

    catalogDir = mkOption {
      type = types.path;
      default = "${cfg.package}/lib/bloud/nix/catalog";
      defaultText = lib.literalExpression ''"''${package}/lib/bloud/nix/catalog"'';
      description = "Directory with one YAML file for each app that can be installed.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = chosen == [ ];
        message = lib.concatMapStringsSep "\n" (name: "services.bloud.settings.${name}: ${reserved.${name}}") chosen;
      }
      {
        assertion = cfg.rebuildCommand != [ ] && lib.hasPrefix "/" (lib.head cfg.rebuildCommand);
        message = "services.bloud.rebuildCommand: must begin with the absolute path of a program";
      }
      {
        assertion = cfg.rollbackCommand != [ ] && lib.hasPrefix "/" (lib.head cfg.rollbackCommand);
        message = "services.bloud.rollbackCommand: must begin with the absolute path of a program";
      }
      {
        assertion = cfg.database.createLocally == (cfg.database.urlFile == null);
        message = "services.bloud.database: set either createLocally = true, or createLocally = false and urlFile";
      }
      {
        assertion = cfg.database.urlFile == null || !lib.hasPrefix builtins.storeDir cfg.database.urlFile;
        message = "services.bloud.database.urlFile: the Nix store is world-readable; use a file outside it";
      }
    ];
    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall [ cfg.port ];
  };
}
