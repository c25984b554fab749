# The two processes of the agent, the relay and the orchestrator, with separate system users. The relay is
# reachable from the network, so the relay can neither read a secret nor request a rebuild.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  cfg = config.services.bloud;
  local = cfg.database.createLocally;

  # Host part of the URL: the directory /run/postgresql with its slashes encoded as %2F. The character % is
  # doubled, because systemd treats a single % in a unit as the start of a placeholder.
  urlAs = role: "postgresql://${role}@%%2Frun%%2Fpostgresql/bloud_host_agent";

  toText =
    value:
    if builtins.isList value then
      lib.concatStringsSep "," value
    else if builtins.isBool value then
      lib.boolToString value
    else
      toString value;

  # Returns a setting as text with each % doubled, because systemd would replace e.g. `%h` by the home
  # directory.
  escaped = value: lib.replaceStrings [ "%" ] [ "%%" ] (toText value);

  # Settings without the two names that module.nix refuses with an error message. Nix would otherwise report a
  # conflict of values before that message.
  allowed = removeAttrs cfg.settings [
    "DATABASE_URL"
    "DATABASE_URL_FILE"
  ];
  settings = lib.mapAttrs (_: escaped) allowed // {
    BLOUD_DATA_DIR = "/var/lib/bloud";
    BLOUD_HOST_KIND = "nixos";
    BLOUD_PORT = toString cfg.port;
    BLOUD_LISTEN = cfg.listenAddress;
    BLOUD_CATALOG_DIR = toString cfg.catalogDir;
  }
  # The app "postgres" is this machine's own PostgreSQL server, so containers.nix creates no container for the
  # app.
  // lib.optionalAttrs local { BLOUD_NIXOS_PROVIDED = "postgres=postgresql.service"; };

  # Returns the database settings of a process. A URL with a password is passed as a systemd credential, which
  # only the process can read.
  databaseOf =
    role:
    if local then
      { environment.DATABASE_URL = urlAs role; }
    else
      {
        environment = {
          DATABASE_URL_FILE = "%d/database-url";
        }
        // lib.optionalAttrs (role != "postgres") { BLOUD_DATABASE_ROLE = role; };
        serviceConfig.LoadCredential = [ "database-url:${toString cfg.database.urlFile}" ];
      };

  # Hardening options of systemd for the agent's units. MemoryDenyWriteExecute is missing, because Node's V8
  # generates machine code and executes the code.
  hardening = {
    AmbientCapabilities = "";
    CapabilityBoundingSet = "";
    LockPersonality = true;
    NoNewPrivileges = true;
    PrivateDevices = true;
    PrivateTmp = true;
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHome = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    ProtectProc = "invisible";
    ProtectSystem = "strict";
    RemoveIPC = true;
    RestrictNamespaces = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    SystemCallArchitectures = "native";
    SystemCallErrorNumber = "EPERM";
    SystemCallFilter = [
      "@system-service"
      "~@privileged"
    ];
    UMask = "0077";
  };

  after = [
    "network.target"
    "bloud-migrate.service"
  ]
  ++ lib.optionals local databaseUnits;
  # Units after which the agent starts. The unit postgresql.target exists since NixOS 25.11 and is reached
  # once PostgreSQL's roles and databases exist.
  databaseUnits = [
    "postgresql.service"
    "postgresql.target"
  ];

  process =
    {
      description,
      program,
      role,
      more,
    }:
    lib.mkMerge [
      {
        inherit description after;
        # `wants` is used instead of `requires`, because a restart of PostgreSQL would otherwise stop the
        # agent. The agent reconnects to PostgreSQL by itself.
        wants = [ "bloud-migrate.service" ] ++ lib.optionals local [ "postgresql.service" ];
        wantedBy = [ "multi-user.target" ];
        environment = settings;
        # A rebuild never restarts the agent, because the agent waits for the end of the rebuild. The unit
        # bloud-refresh.service restarts the agent afterwards.
        restartIfChanged = false;
        # systemd restarts the unit without a limit, because the database may be unavailable for a long time.
        startLimitIntervalSec = 0;
        serviceConfig = hardening // {
          Type = "notify";
          # All processes of the unit may notify systemd, because the agent sends notifications with the child
          # process systemd-notify.
          NotifyAccess = "all";
          ExecStart = "${cfg.package}/bin/${program}";
          Restart = "always";
          RestartSec = 2;
          # Upper limit in seconds of the start. systemd restarts a process that has not reported readiness
          # within this time.
          TimeoutStartSec = 120;
          TimeoutStopSec = 30;
          WatchdogSec = 60;
        };
      }
      (databaseOf role)
      more
    ];
in
{
  config = lib.mkIf cfg.enable {
    users.users.bloud = {
      isSystemUser = true;
      group = "bloud";
      # The uid is fixed, because containers run as this uid. Only this user may read the files that the agent
      # writes for containers.
      uid = lib.mkDefault 389;
      description = "Bloud orchestrator";
    };
    users.groups.bloud.gid = lib.mkDefault 389;
    users.users.bloud-relay = {
      isSystemUser = true;
      group = "bloud-relay";
      description = "Bloud relay: page, API and stream";
    };
    users.groups.bloud-relay = { };

    systemd.services.bloud-relay = process {
      description = "Bloud: the page, the API and the stream";
      program = "bloud-relay";
      role = "bloud_relay";
      more.serviceConfig = {
        User = "bloud-relay";
        Group = "bloud-relay";
        # Hides the data directory from the relay, because the relay needs only the database.
        InaccessiblePaths = [ "-/var/lib/bloud" ];
        # AF_NETLINK allows the relay to list the machine's addresses, because a browser may use any of them
        # as host name.
        RestrictAddressFamilies = [
          "AF_UNIX"
          "AF_INET"
          "AF_INET6"
          "AF_NETLINK"
        ];
        AmbientCapabilities = lib.mkIf (cfg.port < 1024) (lib.mkForce "CAP_NET_BIND_SERVICE");
        CapabilityBoundingSet = lib.mkIf (cfg.port < 1024) (lib.mkForce "CAP_NET_BIND_SERVICE");
      };
    };

    systemd.services.bloud-orchestrator = process {
      description = "Bloud: installs, rebuilds and watches apps";
      program = "bloud-orchestrator";
      role = "bloud_orchestrator";
      more.serviceConfig = {
        User = "bloud";
        Group = "bloud";
        # The group gives access to the journal, from which the orchestrator reads the last output of a failed
        # app.
        SupplementaryGroups = [ "systemd-journal" ];
        StateDirectory = [
          "bloud/nixos"
          "bloud/blueprints"
          "bloud/clients"
        ];
        StateDirectoryMode = "0711";
        # Directories of the agent that containers mount. The parent directory belongs to root, so that only
        # root can replace a mounted directory by a link.
        BindPaths = [
          "/var/lib/bloud/blueprints:/var/lib/bloud/nixos/blueprints"
          "/var/lib/bloud/clients:/var/lib/bloud/nixos/clients"
        ];
        RestrictAddressFamilies = [
          "AF_UNIX"
          "AF_INET"
          "AF_INET6"
        ];
      };
    };

    # Migrates the database to the schema of the package. Every start of an agent process starts this unit,
    # which is quick if the schema is current. A rebuild of the machine does not start this unit, because the
    # old agent still runs and calls the old database functions.
    systemd.services.bloud-migrate = lib.mkMerge [
      {
        description = "Bloud: brings the database to its schema";
        after = lib.optionals local databaseUnits;
        wants = lib.optionals local [ "postgresql.service" ];
        environment = settings;
        restartIfChanged = false;
        startLimitIntervalSec = 0;
        serviceConfig = hardening // {
          Type = "oneshot";
          ExecStart = "${cfg.package}/bin/bloud-migrate";
          Restart = "on-failure";
          RestartSec = 5;
          TimeoutStartSec = 300;
          # User of the migration. A local migration runs as the superuser postgres, because only a superuser
          # may create the roles. For a remote PostgreSQL, the URL contains the role.
          User = if local then "postgres" else "bloud";
          Group = if local then "postgres" else "bloud";
          InaccessiblePaths = [ "-/var/lib/bloud" ];
          RestrictAddressFamilies = [
            "AF_UNIX"
            "AF_INET"
            "AF_INET6"
          ];
        };
      }
      (databaseOf "postgres")
    ];

    # Restarts the agent when its package or settings have changed. During a rebuild by the agent this unit
    # only writes a marker file, and bloud-rebuild.service restarts the agent at its end.
    systemd.services.bloud-refresh = {
      description = "Bloud: restarts the agent when it has changed";
      wantedBy = [ "multi-user.target" ];
      before = [
        "bloud-relay.service"
        "bloud-orchestrator.service"
      ];
      restartTriggers = [
        cfg.package
        (builtins.toJSON [
          settings
          cfg.database.urlFile
        ])
      ];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = utils.escapeSystemdExecArgs [
          pkgs.runtimeShell
          "${./scripts/refresh.sh}"
          "changed"
        ];
        RuntimeDirectory = "bloud-refresh";
        RuntimeDirectoryPreserve = true;
      };
    };
  };
}
