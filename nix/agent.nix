# systemd services of the agent: the relay (HTTP server and event stream) and the orchestrator (worker that
# installs apps). Each has its own system user, so that the relay, which is reachable from the network, can
# neither read secrets nor rebuild the machine.
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

  # URL of PostgreSQL's Unix socket. %%2F is an encoded slash (%2F), whose % is doubled because systemd would
  # otherwise replace it.
  urlAs = role: "postgresql://${role}@%%2Frun%%2Fpostgresql/bloud_host_agent";

  toText =
    value:
    if builtins.isList value then
      lib.concatStringsSep "," value
    else if builtins.isBool value then
      lib.boolToString value
    else
      toString value;

  # Doubles each %, because systemd would otherwise replace, for example, %h by the home directory.
  escaped = value: lib.replaceStrings [ "%" ] [ "%%" ] (toText value);

  # module.nix refuses these two settings with a clear error. They are removed here, because Nix would otherwise
  # report first that a variable is defined twice.
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
  # The PostgreSQL server of this machine serves as the app "postgres", which therefore gets no container.
  // lib.optionalAttrs local { BLOUD_NIXOS_PROVIDED = "postgres=postgresql.service"; };

  # A URL with a password is passed as a systemd credential, because other users can read the environment
  # variables of a service.
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

  # systemd's option MemoryDenyWriteExecute is missing, because Node.js compiles JavaScript to machine code.
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
  # Since NixOS 25.11 the database roles exist only when postgresql.target is reached. Earlier versions have
  # only postgresql.service.
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
        # With `requires` instead of `wants`, a restart of PostgreSQL would stop the agent.
        wants = [ "bloud-migrate.service" ] ++ lib.optionals local [ "postgresql.service" ];
        wantedBy = [ "multi-user.target" ];
        environment = settings;
        # The agent waits for the end of `nixos-rebuild switch`, so the command must not restart the agent.
        # bloud-refresh.service restarts the agent afterwards.
        restartIfChanged = false;
        # Turns off systemd's limit of restarts, because the database may be unavailable for a long time.
        startLimitIntervalSec = 0;
        serviceConfig = hardening // {
          Type = "notify";
          # The agent starts systemd-notify as a child process, and by default systemd ignores notifications
          # of child processes.
          NotifyAccess = "all";
          ExecStart = "${cfg.package}/bin/${program}";
          Restart = "always";
          RestartSec = 2;
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
      # The user id is fixed, because containers that read files of the agent are configured with this id.
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
        InaccessiblePaths = [ "-/var/lib/bloud" ];
        # The relay needs AF_NETLINK to list the network addresses of the machine.
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
        # With this group the orchestrator can read the last output of a failed app from the journal.
        SupplementaryGroups = [ "systemd-journal" ];
        StateDirectory = [
          "bloud/nixos"
          "bloud/blueprints"
          "bloud/clients"
        ];
        StateDirectoryMode = "0711";
        # Containers mount these directories below /var/lib/bloud, which belongs to root, so that the
        # orchestrator can't replace a mounted directory by a symbolic link. The orchestrator itself uses
        # paths below /var/lib/bloud/nixos.
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

    # Migrates the database before the agent starts. `nixos-rebuild switch` does not start the migration,
    # because the old version of the agent still runs and needs the old database functions.
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
          # A local migration runs as the superuser postgres, because it must create database roles.
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

    # Pairs the database with the state directory of this machine. Only an operator starts this unit, for
    # example after a restore on new hardware.
    systemd.services.bloud-adopt = lib.mkMerge [
      {
        description = "Bloud: pairs the database with the data of this machine";
        after = lib.optionals local databaseUnits;
        wants = lib.optionals local [ "postgresql.service" ];
        environment = settings;
        restartIfChanged = false;
        serviceConfig = hardening // {
          Type = "oneshot";
          ExecStart = "${cfg.package}/bin/bloud-adopt";
          TimeoutStartSec = 60;
          User = "bloud";
          Group = "bloud";
          StateDirectory = [ "bloud/nixos" ];
          StateDirectoryMode = "0711";
          RestrictAddressFamilies = [
            "AF_UNIX"
            "AF_INET"
            "AF_INET6"
          ];
        };
      }
      (databaseOf "bloud_orchestrator")
    ];

    # Restarts the agent when its package or settings have changed. If the agent itself has started
    # `nixos-rebuild switch`, refresh.sh postpones the restart until the command has ended.
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
