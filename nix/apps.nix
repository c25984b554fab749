# Turns each app of apps.json into a container. The agent writes that file. It is only data: fromJSON reads
# it, each value has a type with a pattern, and values in units and scripts are quoted. The values become
# defaults of `bloud.apps.<name>`, so the operator can override each of them in the machine's configuration.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.bloud;
  data = "/var/lib/bloud";
  state = "${data}/nixos";
  network = cfg.apps.network;

  # --- apps.json ---

  inStore = lib.hasPrefix builtins.storeDir (toString cfg.apps.file);
  isPure = !(builtins ? currentSystem);
  document =
    if cfg.apps.file == null then
      { apps = [ ]; }
    else if isPure && !inStore then
      # Without this error a rebuild without --impure would silently remove every app, because pure evaluation
      # can't read the file.
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

  # Each value as a default, environment variables one by one, so that the operator can override a single
  # variable.
  asDefaults =
    entry:
    let
      # Without the options reserved for the operator: the agent may neither add an argument of podman nor
      # choose a user.
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

  # --- options ---

  # Only this pattern keeps an image name from becoming shell code, because NixOS puts the name unquoted into
  # the shell script that starts the container.
  image = types.strMatching "[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}";
  variable = "[A-Za-z_][A-Za-z0-9_]*";
  volumeName = types.strMatching "[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}";
  # Neither colon nor comma, because podman reads options after them.
  containerPath = types.strMatching "/[A-Za-z0-9_./@+-]*";
  secretFile = types.strMatching "${data}/nixos/(secrets|clients)/[A-Za-z0-9_./-]+|/run/[A-Za-z0-9_./-]+|/etc/[A-Za-z0-9_./-]+";
  # Words of a command. They follow the image, where podman reads no options of its own.
  word = types.strMatching "[a-z][a-z0-9-]{0,30}";
  named = lib.mapAttrs (_: type: mkOption { inherit type; });
  readOnly = mkOption {
    type = types.bool;
    default = false;
    description = "Whether the container may only read it.";
  };

  appOptions = {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether this app may run. `false` overrides the page and keeps the app's data.";
    };
    image = mkOption {
      type = types.nullOr image;
      default = null;
      description = "Image of the container. `null`: the app has no container.";
    };
    port = mkOption {
      type = types.port;
      description = "TCP port on this machine.";
    };
    containerPort = mkOption {
      type = types.port;
      description = "TCP port in the container.";
    };
    volumes = mkOption {
      type = types.listOf (
        types.submodule {
          options = named {
            name = volumeName;
            container = containerPath;
          } // { inherit readOnly; };
        }
      );
      default = [ ];
      description = ''
        Directories of the app's data, /var/lib/bloud/apps/<app>/<name>, and their paths in the container.
      '';
    };
    mounts = mkOption {
      type = types.listOf (
        types.submodule {
          options = named {
            host = types.enum [
              "${state}/blueprints"
              "${state}/clients"
            ];
            container = containerPath;
          } // { inherit readOnly; };
        }
      );
      default = [ ];
      description = "Directories that the agent writes for the identity provider, and their container paths.";
    };
    environment = mkOption {
      type = types.attrsOf types.str;
      default = { };
      description = "Environment variables. No secrets here, because the Nix store is world-readable.";
    };
    secretFiles = mkOption {
      type = types.attrsOf secretFile;
      default = { };
      description = "Environment variables whose value is the content of a file.";
    };
    dependsOn = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Apps that are started before this app, if they are installed.";
    };
    database = mkOption {
      type = types.nullOr (
        types.submodule {
          options = named {
            name = types.strMatching "[a-z][a-z0-9_]{0,62}";
            role = types.strMatching "[a-z][a-z0-9_]{0,62}";
            passwordFile = secretFile;
          };
        }
      );
      default = null;
      description = "PostgreSQL database and role of this app alone. Both have the same name.";
    };
    resources = mkOption {
      type = types.nullOr (types.attrsOf types.anything);
      default = null;
      example = {
        memory = "2G";
        cpus = 1.5;
      };
      description = "Limits of the container: memory and CPUs.";
    };
    command = mkOption {
      type = types.listOf word;
      default = [ ];
      example = [ "server" ];
      description = "Arguments for the image's entry point; by default those of the image.";
    };
    worker = mkOption {
      type = types.listOf word;
      default = [ ];
      example = [ "worker" ];
      description = "Arguments for a second container with the same variables, secrets and volumes.";
    };
    user = mkOption {
      type = types.nullOr (types.strMatching "[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?");
      default = null;
      description = "User, and optionally group, in the container; by default those of the image.";
    };
    extraOptions = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Further arguments of `podman run`. Only for the operator: the agent never writes any.";
    };
  };

  # --- containers ---

  # True for the app "postgres" if it is this machine's own server. A second server could not listen on the
  # same port.
  isProvided = name: name == "postgres" && cfg.database.createLocally;
  apps = lib.filterAttrs (
    name: app: app.enable && app.image != null && !isProvided name
  ) config.bloud.apps;
  databases = lib.filterAttrs (_: app: app.database != null) apps;
  workers = lib.filterAttrs (_: app: app.worker != [ ]) apps;
  # Name with an underscore, so that it never equals an app's name.
  workerOf = name: "${name}_worker";

  memory =
    app:
    let
      value = toString (app.resources.memory or "");
    in
    if app.resources == null || value == "" then
      [ ]
    else if builtins.match "[0-9]+[bkmgBKMG]?" value != null then
      [ "--memory=${value}" ]
    else
      throw "bloud: ${app.name}: resources.memory must have the form 512M or 2G";

  cpus =
    app:
    let
      value = builtins.toJSON (app.resources.cpus or null);
    in
    if app.resources == null || value == "null" then
      [ ]
    else if builtins.match "[0-9]+([.][0-9]+)?" value != null then
      [ "--cpus=${value}" ]
    else
      throw "bloud: ${app.name}: resources.cpus must be a number";

  # Path from which a container mounts one of the two directories. Only root can replace an entry of its
  # parent directory.
  hostPath = mount: lib.replaceStrings [ "${state}/" ] [ "${data}/" ] mount.host;
  bind = from: { container, readOnly, ... }: "${from}:${container}${lib.optionalString readOnly ":ro"}";

  container = name: app: {
    # Not `name`, because NixOS creates /run/<service name> and removes that directory when the container
    # stops.
    serviceName = "podman-${name}";
    inherit (app) image environment;
    # A container with mounts runs as the agent's user, because only that user may read the mounted files.
    user =
      if app.user == null && app.mounts != [ ] then
        "${toString config.users.users.bloud.uid}:${toString config.users.groups.bloud.gid}"
      else
        app.user;
    ports = [ "${cfg.apps.listenAddress}:${toString app.port}:${toString app.containerPort}" ];
    volumes =
      map (volume: bind "${data}/apps/${name}/${volume.name}" volume) app.volumes
      ++ map (mount: bind (hostPath mount) mount) app.mounts;
    labels."io.bloud.app" = name;
    extraOptions = [
      "--network=${network.name}"
      "--network-alias=${name}"
      "--add-host=host.containers.internal:${network.gateway}"
      "--security-opt=no-new-privileges"
    ]
    ++ lib.mapAttrsToList (key: _: "--secret=bloud-${name}-${key},type=env,target=${key}") app.secretFiles
    ++ memory (app // { inherit name; })
    ++ cpus (app // { inherit name; })
    ++ app.extraOptions;
  }
  // lib.optionalAttrs (app.command != [ ]) { cmd = app.command; };

  worker =
    name: app:
    container name app
    // {
      serviceName = "podman-${workerOf name}";
      cmd = app.worker;
      ports = [ ];
      # The app's name on the network belongs to the container with the port.
      extraOptions = lib.filter (option: option != "--network-alias=${name}") (container name app).extraOptions;
    };

  # The worker starts and stops with the app's unit, because that unit creates the directories and secrets of
  # both.
  workerUnit = name: {
    requires = [ "podman-${name}.service" ];
    after = [ "podman-${name}.service" ];
    partOf = [ "podman-${name}.service" ];
    serviceConfig.RestartSec = 5;
  };

  script = file: arguments: utils.escapeSystemdExecArgs ([ pkgs.runtimeShell "${file}" ] ++ arguments);

  containerUnit =
    name: app:
    let
      # `wants` and `after` instead of `requires`, because a restart of a database must not stop the apps that
      # use it.
      before = map (other: "podman-${other}.service") (lib.filter (other: apps ? ${other}) app.dependsOn);
      needed = [ "bloud-network.service" ] ++ lib.optional (app.database != null) "bloud-database-${name}.service";
    in
    {
      wants = before;
      requires = needed;
      after = before ++ needed;
      path = [
        pkgs.coreutils
        pkgs.util-linux
      ];
      serviceConfig = {
        ExecStartPre = [
          (script ./scripts/app-start.sh (
            [
              "bloud"
              "${data}/apps"
              name
            ]
            ++ lib.concatMap (volume: [
              "volume"
              volume.name
            ]) app.volumes
            ++ lib.concatLists (
              lib.mapAttrsToList (key: file: [
                "secret"
                key
                file
              ]) app.secretFiles
            )
          ))
        ];
        RestartSec = 5;
      };
    };

  databaseUnit = name: app: {
    description = "Bloud: the database of ${name}";
    after = [
      "postgresql.service"
      "postgresql.target"
    ];
    wants = [ "postgresql.service" ];
    path = [
      pkgs.coreutils
      pkgs.util-linux
      config.services.postgresql.package
    ];
    serviceConfig = {
      Type = "oneshot";
      ExecStart = script ./scripts/app-database.sh [
        "bloud"
        app.database.role
        app.database.passwordFile
        "${./scripts/app-database.sql}"
      ];
      # Runs as root only to become two other users: the owner of the password file, and PostgreSQL's
      # superuser.
      CapabilityBoundingSet = [
        "CAP_SETUID"
        "CAP_SETGID"
      ];
      NoNewPrivileges = true;
      PrivateNetwork = true;
      PrivateTmp = true;
      ProtectHome = true;
      ProtectSystem = "strict";
      RestrictAddressFamilies = [ "AF_UNIX" ];
      SystemCallArchitectures = "native";
    };
  };

  each = check: message: lib.mapAttrsToList (name: app: {
    assertion = check name app;
    message = "bloud: ${name}: ${message}";
  });
in
{
  options.services.bloud.apps = {
    file = mkOption {
      type = types.nullOr types.str;
      default = "${state}/config/apps.json";
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

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      {
        bloud.apps = byName;
        assertions =
          each (_: app: lib.all (key: builtins.match variable key != null) (lib.attrNames (app.environment // app.secretFiles)))
            "the name of an environment variable is not valid"
            apps
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
      }
      (lib.mkIf (apps != { }) {
        virtualisation.podman.enable = true;
        virtualisation.oci-containers.backend = "podman";
        virtualisation.oci-containers.containers = lib.mapAttrs' (
          name: app: lib.nameValuePair "bloud-${name}" (container name app)
        ) apps
        // lib.mapAttrs' (
          name: app: lib.nameValuePair "bloud-${workerOf name}" (worker name app)
        ) workers;

        systemd.services = lib.mkMerge [
          (lib.mapAttrs' (name: app: lib.nameValuePair "podman-${name}" (containerUnit name app)) apps)
          (lib.mapAttrs' (name: _: lib.nameValuePair "podman-${workerOf name}" (workerUnit name)) workers)
          (lib.mapAttrs' (name: app: lib.nameValuePair "bloud-database-${name}" (databaseUnit name app)) databases)
          {
            bloud-network = {
              description = "Bloud: the network of the apps";
              path = [ config.virtualisation.podman.package ];
              serviceConfig = {
                Type = "oneshot";
                RemainAfterExit = true;
                ExecStart = utils.escapeSystemdExecArgs [
                  "${config.virtualisation.podman.package}/bin/podman"
                  "network"
                  "create"
                  "--ignore"
                  "--subnet=${network.subnet}"
                  "--gateway=${network.gateway}"
                  "--interface-name=${network.name}0"
                  network.name
                ];
              };
            };
          }
        ];
        # DNS, for the names of the other apps. Apps reach no other port of this machine except PostgreSQL's
        # below.
        networking.firewall.interfaces."${network.name}0".allowedUDPPorts = [ 53 ];
      })
      (lib.mkIf (databases != { }) {
        # Forwards connections from apps to PostgreSQL's Unix socket, so PostgreSQL itself listens on no
        # further address. database.nix requires the password of the app's role for these connections.
        systemd.sockets.bloud-postgres = {
          description = "Bloud: PostgreSQL for apps";
          wantedBy = [ "sockets.target" ];
          listenStreams = [ "${network.gateway}:5432" ];
          # FreeBind, because the address does not exist before the first container starts.
          socketConfig.FreeBind = true;
        };
        systemd.services.bloud-postgres = {
          description = "Bloud: PostgreSQL for apps";
          requires = [ "bloud-postgres.socket" ];
          after = [
            "bloud-postgres.socket"
            "postgresql.service"
          ];
          serviceConfig = {
            ExecStart = "${config.systemd.package}/lib/systemd/systemd-socket-proxyd /run/postgresql/.s.PGSQL.5432";
            DynamicUser = true;
            CapabilityBoundingSet = "";
            NoNewPrivileges = true;
            PrivateDevices = true;
            PrivateTmp = true;
            ProtectHome = true;
            ProtectSystem = "strict";
            RestrictAddressFamilies = [
              "AF_UNIX"
              "AF_INET"
            ];
            SystemCallArchitectures = "native";
          };
        };
        networking.firewall.interfaces."${network.name}0".allowedTCPPorts = [ 5432 ];
      })
    ]
  );
}
