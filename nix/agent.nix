# systemd services of the agent: relay and orchestrator, each with a system user of its own. The relay can
# neither read a secret nor rebuild the machine, because the relay is reachable from the network.
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

  # Returns the URL of PostgreSQL's socket in /run/postgresql. The % of each encoded slash (%2F) is doubled,
  # because systemd treats a single % as the start of a placeholder.
  urlAs = role: "postgresql://${role}@%%2Frun%%2Fpostgresql/bloud_host_agent";

  toText =
    value:
    if builtins.isList value then
      lib.concatStringsSep "," value
    else if builtins.isBool value then
      lib.boolToString value
    else
      toString value;

  # Returns a setting as text with each % doubled, because systemd would replace `%h` by the home directory.
  escaped = value: lib.replaceStrings [ "%" ] [ "%%" ] (toText value);

  # Settings without the two names that module.nix refuses. With these names, Nix would report a conflict of
  # values before module.nix can report its clearer error.
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
  # Uses this machine's PostgreSQL server as the app "postgres", which therefore gets no container.
  // lib.optionalAttrs local { BLOUD_NIXOS_PROVIDED = "postgres=postgresql.service"; };

  # Returns the database settings of an agent process. A URL with a password is passed as a systemd
  # credential, so that other users can't read the password.
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

  # Hardening options of systemd. MemoryDenyWriteExecute is missing, because Node generates machine code.
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
  # Units after which the agent starts. postgresql.target, which exists since NixOS 25.11, is reached after
  # NixOS has created PostgreSQL's roles and databases.
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
        # `wants` instead of `requires`, so that a restart of PostgreSQL does not stop the agent.
        wants = [ "bloud-migrate.service" ] ++ lib.optionals local [ "postgresql.service" ];
        wantedBy = [ "multi-user.target" ];
        environment = settings;
        # Keeps the agent running during a rebuild of the machine, because the agent waits for the end of the
        # rebuild. bloud-refresh.service restarts the agent afterwards.
        restartIfChanged = false;
        # systemd restarts the unit without a limit, because the database may be unavailable for a long time.
        startLimitIntervalSec = 0;
        serviceConfig = hardening // {
          Type = "notify";
          # Accepts notifications of all processes of the unit, because the agent starts systemd-notify as a
          # child process.
          NotifyAccess = "all";
          ExecStart = "${cfg.package}/bin/${program}";
          Restart = "always";
          RestartSec = 2;
          # Time in seconds after which systemd restarts a process that has not reported readiness.
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
      # Fixed user id, because containers run as this user to read the files that the agent writes for them.
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
        # Includes AF_NETLINK, so that the relay can list the machine's addresses.
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
        # Gives the orchestrator access to the journal, which has the last output of a failed app.
        SupplementaryGroups = [ "systemd-journal" ];
        StateDirectory = [
          "bloud/nixos"
          "bloud/blueprints"
          "bloud/clients"
        ];
        StateDirectoryMode = "0711";
        # Directories of the agent that containers mount. The mounted paths are below a directory of root, so
        # that only root can replace a mounted directory by a link.
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

    # Migrates the database before an agent process starts. A rebuild of the machine does not start this unit,
    # because the old agent still runs and needs the old database functions.
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
          # A local migration runs as the superuser postgres, so that the migration can create the roles.
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

    # Restarts the agent when its package or settings have changed. During a rebuild that the agent started,
    # refresh.sh postpones the restart until the end of the rebuild.
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
