# The NixOS module: what a person sets. What comes of it is in the files it imports.
#
#   agent.nix      the relay and the orchestrator, unprivileged, and how they get updated
#   rebuild.nix    the three things only root can do for them: rebuild this machine, roll it back, delete an app's data
#   database.nix   PostgreSQL on this machine, entered over its socket without any password
#   apps.nix       apps.json, which the agent writes, turned into containers
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
  # They have options of their own; a second place to set them would be a place to contradict.
  reserved = {
    DATABASE_URL = "a password in here would be readable by everybody in the Nix store; use services.bloud.database.urlFile";
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
  ];

  options.services.bloud = {
    enable = mkEnableOption "Bloud, which installs self-hosted apps on this machine";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The agent.";
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
        Address to listen on. There is no sign-in: whoever reaches the page may install and remove apps. Put a
        reverse proxy that asks for one in front of it before you change this.
      '';
    };

    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = "Let other machines reach `port`. Needs a `listenAddress` that others can reach, and see there.";
    };

    settings = mkOption {
      type = types.submodule { freeformType = types.attrsOf setting; };
      default = { };
      example = {
        BLOUD_BASE_URLS = [ "https://{app}.home.example" ];
        BLOUD_BUILD_TIMEOUT = 3600;
      };
      description = ''
        Further settings of the agent, as environment variables of both processes; a list is joined with commas.
        Everything here ends up in the world-readable Nix store: no secrets.
      '';
    };

    database = {
      createLocally = mkOption {
        type = types.bool;
        default = true;
        description = ''
          Use the PostgreSQL of this machine (`services.postgresql`), over its socket: the system users are let in as
          the database roles they are, and there is no password at all. `false`: set `urlFile`.
        '';
      };
      urlFile = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/run/secrets/bloud-database-url";
        description = ''
          A file outside the Nix store, readable by root only, that holds `postgres://user:password@host/database`. The
          user may either create roles, or is a member of the roles in `sql/roles.sql`.
        '';
      };
      operators = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "alice" ];
        description = ''
          Users of this machine who may use `psql -U bloud_operator bloud_host_agent` (with `createLocally`): read, and
          call the same verbs that the page has. Root always may.
        '';
      };
    };

    flake = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/etc/nixos#myhost";
      description = ''
        The flake that this machine is built from, as `nixos-rebuild --flake` takes it. `null`: channels, that is
        `/etc/nixos/configuration.nix`.
      '';
    };

    rebuildCommand = mkOption {
      type = types.listOf types.str;
      default = [
        "/run/current-system/sw/bin/nixos-rebuild"
        "switch"
      ]
      # The list of apps is not part of the flake: the agent writes it to /var/lib/bloud.
      ++ lib.optionals (cfg.flake != null) [
        "--flake"
        cfg.flake
        "--impure"
      ];
      defaultText = lib.literalExpression ''[ ".../nixos-rebuild" "switch" "--flake" flake "--impure" ]'';
      description = ''
        What root runs when apps are installed or removed: a program and its arguments, not a shell line. The agent
        can neither choose it nor add anything to it.
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
        What root runs when the machine is to go back to the generation before: a program and its arguments, like
        `rebuildCommand`. The agent asks for it only where that is the generation it expects.
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
        message = "services.bloud.database.urlFile: everybody can read the Nix store; name a file outside it";
      }
    ];
    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall [ cfg.port ];
  };
}
