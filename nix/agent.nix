# The two processes of the agent, each with a system user of its own. The relay is reachable from the network,
# so it can neither read a secret nor request a rebuild from root. It has only its role in the database.
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

  # The host of this URL is the directory /run/postgresql, whose slashes are encoded as %2F. In a unit, % is
  # written %%.
  urlAs = role: "postgresql://${role}@%%2Frun%%2Fpostgresql/bloud_host_agent";

  toText =
    value:
    if builtins.isList value then
      lib.concatStringsSep "," value
    else if builtins.isBool value then
      lib.boolToString value
    else
      toString value;

  # Escapes %, because systemd would replace `%h` in a value by the home directory.
  escaped = value: lib.replaceStrings [ "%" ] [ "%%" ] (toText value);

  # Without the two settings that module.nix refuses: a conflict with the values below would hide its error
  # message.
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
  # The app "postgres" is then this machine's own server, and containers.nix creates no container for it.
  // lib.optionalAttrs local { BLOUD_NIXOS_PROVIDED = "postgres=postgresql.service"; };

  # Database settings of a process. A URL with a password is passed as a credential file that only the unit
  # can read.
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

  # Without MemoryDenyWriteExecute, because V8 writes machine code and then executes it.
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
  # postgresql.target exists since NixOS 25.11. It is reached once roles and databases are created too.
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
        # `wants` instead of `requires`, because a restart of PostgreSQL would stop the agent, which
        # reconnects by itself.
        wants = [ "bloud-migrate.service" ] ++ lib.optionals local [ "postgresql.service" ];
        wantedBy = [ "multi-user.target" ];
        environment = settings;
        # Never restarted by a rebuild, because the agent waits for the rebuild's end. Otherwise the old
        # program would process its first half and the new program its second. bloud-refresh.service restarts
        # the agent afterwards.
        restartIfChanged = false;
        # Restarts without a limit, because the database may be unavailable for an hour.
        startLimitIntervalSec = 0;
        serviceConfig = hardening // {
          Type = "notify";
          # "all", because the notifications are sent by a child process, systemd-notify.
          NotifyAccess = "all";
          ExecStart = "${cfg.package}/bin/${program}";
          Restart = "always";
          RestartSec = 2;
          # Time in seconds from the start to LISTEN. A process that needs longer is started again.
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
      # Fixed, so that a container can run as the only user that may read the files the agent writes for that
      # container.
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
        # The relay needs only the database, no file.
        InaccessiblePaths = [ "-/var/lib/bloud" ];
        # AF_NETLINK, to list the machine's own addresses: a browser may use each of them as the host name.
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
        # Access to the journal, to show the last output of a failed app.
        SupplementaryGroups = [ "systemd-journal" ];
        StateDirectory = [
          "bloud/nixos"
          "bloud/blueprints"
          "bloud/clients"
        ];
        StateDirectoryMode = "0711";
        # Containers mount these two directories. Their parent belongs to root, so only root can replace one
        # by a link.
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

    # Migrates the database to the schema of the package. Every start of a process starts this unit, which is
    # quick when the schema is current. A rebuild does not, because a running agent still calls the old
    # functions.
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
          # With a local PostgreSQL the superuser, because creating roles needs its rights. With a remote one,
          # the URL contains the role.
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

    # Restarts the two processes when the package or the settings have changed, but never during a rebuild by
    # the agent. During such a rebuild it only writes a marker file, which bloud-rebuild.service checks at its
    # end.
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
