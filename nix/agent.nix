# The two processes of the agent. Each is a system user of its own: the relay, which the network reaches, can neither
# read a secret nor ask for a rebuild; all it has is its role in the database.
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

  # The host of this URL is a directory, /run/postgresql, so its slashes are written as %2F; and in a unit % is %%.
  urlAs = role: "postgresql://${role}@%%2Frun%%2Fpostgresql/bloud_host_agent";

  toText =
    value:
    if builtins.isList value then
      lib.concatStringsSep "," value
    else if builtins.isBool value then
      lib.boolToString value
    else
      toString value;

  # Else systemd would read `%h` in a value as the home directory.
  plain = value: lib.replaceStrings [ "%" ] [ "%%" ] (toText value);

  # Those two are refused (module.nix), and must not stand in the way of the sentence that says so.
  given = removeAttrs cfg.settings [
    "DATABASE_URL"
    "DATABASE_URL_FILE"
  ];
  settings = lib.mapAttrs (_: plain) given // {
    BLOUD_DATA_DIR = "/var/lib/bloud";
    BLOUD_HOST_KIND = "nixos";
    BLOUD_PORT = toString cfg.port;
    BLOUD_LISTEN = cfg.listenAddress;
    BLOUD_CATALOG_DIR = toString cfg.catalogDir;
  }
  # The app "postgres" is then this machine's own server, not a container: apps.nix leaves it out.
  // lib.optionalAttrs local { BLOUD_NIXOS_PROVIDED = "postgres=postgresql.service"; };

  # How a process finds the database. A URL with a password is handed over as a file that only the unit can read.
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

  # No MemoryDenyWriteExecute: V8 writes machine code and then runs it.
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
  # postgresql.target is there since NixOS 25.11, and means: set up too.
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
        # Not `requires`: a restart of PostgreSQL would stop the agent, which comes through such restarts by itself.
        wants = [ "bloud-migrate.service" ] ++ lib.optionals local [ "postgresql.service" ];
        wantedBy = [ "multi-user.target" ];
        environment = settings;
        # A rebuild is what the agent waits for. It would survive a restart in the middle of one, but then it would have
        # seen half of it as the old program and half as the new one. bloud-refresh.service restarts it afterwards.
        restartIfChanged = false;
        # Never give up: a database that is away for an hour is back after it.
        startLimitIntervalSec = 0;
        serviceConfig = hardening // {
          Type = "notify";
          # The messages are sent by systemd-notify, a child.
          NotifyAccess = "all";
          ExecStart = "${cfg.package}/bin/${program}";
          Restart = "always";
          RestartSec = 2;
          # From nothing to LISTEN; longer than that, and it is started again.
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
      # Fixed, so that a container can be run as the one user who may read what the agent writes for it.
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
        # All it needs is the database.
        InaccessiblePaths = [ "-/var/lib/bloud" ];
        # AF_NETLINK: to know the machine's own addresses, which are the names a browser may use for it.
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
        # To show the last words of an app that failed.
        SupplementaryGroups = [ "systemd-journal" ];
        StateDirectory = [
          "bloud/nixos"
          "bloud/blueprints"
          "bloud/clients"
        ];
        StateDirectoryMode = "0711";
        # Some containers mount these two. Their parent is root's, so that nobody can put a link in their place.
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

    # Brings the database to the schema of the package. Pulled in by every start of the two, and quick when there is
    # nothing to do; not by a rebuild, or functions would change under an agent that is at work with the old ones.
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
          # With our own PostgreSQL its superuser, because only that may create roles; else whoever the URL names.
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

    # A new package, or other settings: restarts the two, but after a rebuild of ours, never in it. During one it only
    # leaves a note, and bloud-rebuild.service reads that at its end.
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
