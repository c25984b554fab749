# The apps. The agent writes which ones are wanted to apps.json; this turns each into a container. The file is data: it
# is read with fromJSON, every value has a type with a pattern, and what ends in a unit or a script goes there quoted.
# So an app can be changed by hand too: `bloud.apps.<name>` holds what the file says as defaults.
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

  # --- apps.json -------------------------------------------------------------------------------------------------

  inStore = lib.hasPrefix builtins.storeDir (toString cfg.apps.file);
  isPure = !(builtins ? currentSystem);
  document =
    if cfg.apps.file == null then
      { apps = [ ]; }
    else if isPure && !inStore then
      # Without this, a rebuild without --impure would quietly remove every app.
      throw "services.bloud: the apps are in ${cfg.apps.file}, which is no part of your flake: build with --impure"
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
      throw "services.bloud: ${cfg.apps.file} was written by another version of the agent than this module's";

  isName = name: builtins.match "[a-z][a-z0-9-]{0,62}" name != null;
  byName = lib.listToAttrs (
    map (
      entry:
      if isName entry.name then
        lib.nameValuePair entry.name (asDefaults entry)
      else
        throw "bloud: ${builtins.toJSON entry.name}: no name of an app"
    ) listed
  );

  # Everything as a default, variables one by one, so that a person can override one of them.
  asDefaults =
    entry:
    let
      # Not those which are for people only: nothing the agent writes may add an argument or choose a user.
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

  # --- options ---------------------------------------------------------------------------------------------------

  # A container is started by a shell script of NixOS that holds the image as it is: this pattern is what keeps it data.
  image = types.strMatching "[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}";
  variable = "[A-Za-z_][A-Za-z0-9_]*";
  volumeName = types.strMatching "[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}";
  # No colon and no comma: behind one podman would look for options.
  containerPath = types.strMatching "/[A-Za-z0-9_./@+-]*";
  secretFile = types.strMatching "${data}/nixos/(secrets|clients)/[A-Za-z0-9_./-]+|/run/[A-Za-z0-9_./-]+|/etc/[A-Za-z0-9_./-]+";
  # They come behind the image, where podman takes nothing for an option of its own.
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
      description = "Whether this app is on. `false` keeps it off whatever the page says; its data stays.";
    };
    image = mkOption {
      type = types.nullOr image;
      default = null;
      description = "Image of the container. `null`: nothing of this app is on.";
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
      description = "Folders of the app's data, /var/lib/bloud/apps/<app>/<name>, and where they are in the container.";
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
      description = "What the agent writes for the app that others sign in with.";
    };
    environment = mkOption {
      type = types.attrsOf types.str;
      default = { };
      description = "Environment variables. They end up in the world-readable Nix store: no secrets.";
    };
    secretFiles = mkOption {
      type = types.attrsOf secretFile;
      default = { };
      description = "Environment variables whose value is the content of a file.";
    };
    dependsOn = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Apps that are started before it, if they are on.";
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
      description = "A PostgreSQL database and a role of its own, both with the same name.";
    };
    resources = mkOption {
      type = types.nullOr (types.attrsOf types.anything);
      default = null;
      example = {
        memory = "2G";
        cpus = 1.5;
      };
      description = "Limits.";
    };
    command = mkOption {
      type = types.listOf word;
      default = [ ];
      example = [ "server" ];
      description = "What the image is to run, as words for its entry point; by default what it says itself.";
    };
    worker = mkOption {
      type = types.listOf word;
      default = [ ];
      example = [ "worker" ];
      description = "The same for a second container of the app, with its variables, secrets and folders, and no port.";
    };
    user = mkOption {
      type = types.nullOr (types.strMatching "[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?");
      default = null;
      description = "User, and group, in the container; the image's own by default.";
    };
    extraOptions = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Further arguments of `podman run`. For people: the agent never writes any.";
    };
  };

  # --- containers ------------------------------------------------------------------------------------------------

  # The app "postgres" is the server this machine has already: a second one could not even have its port.
  isMachines = name: name == "postgres" && cfg.database.createLocally;
  apps = lib.filterAttrs (
    name: app: app.enable && app.image != null && !isMachines name
  ) config.bloud.apps;
  databases = lib.filterAttrs (_: app: app.database != null) apps;
  workers = lib.filterAttrs (_: app: app.worker != [ ]) apps;
  # With a character that no app's name has.
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
      throw "bloud: ${app.name}: resources.memory must be like 512M or 2G";

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

  # The two folders are reached where nobody but root can put something else in their place.
  hostPath = mount: lib.replaceStrings [ "${state}/" ] [ "${data}/" ] mount.host;
  bind = from: { container, readOnly, ... }: "${from}:${container}${lib.optionalString readOnly ":ro"}";

  container = name: app: {
    # Not `name`: NixOS gives a container /run/<its name> and removes that folder when it stops.
    serviceName = "podman-${name}";
    inherit (app) image environment;
    # Those who may read what is mounted: the agent's user alone.
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
      # Who asks for the app by name means the one with the port.
      extraOptions = lib.filter (one: one != "--network-alias=${name}") (container name app).extraOptions;
    };

  # Folders and secrets are the app's, which makes them when it starts; with it the worker starts and ends.
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
      # Ordering, not `requires`: a database that restarts need not take everything down with it.
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
      # Root, but only in order to become others: whoever may read the password, and PostgreSQL's superuser.
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
      description = "What the agent writes. `null`: nothing is read, for machines on which only `bloud.apps` counts.";
    };
    listenAddress = mkOption {
      type = types.str;
      default = "127.0.0.1";
      description = ''
        Address on which apps listen. Podman's ports bypass the firewall of NixOS: with `0.0.0.0` everybody reaches
        every app. Better leave it, and put a reverse proxy in front.
      '';
    };
    network = {
      name = mkOption {
        type = types.strMatching "[a-z][a-z0-9]{0,12}";
        default = "bloud";
        description = "Name of the podman network of the apps, on which they find each other by name.";
      };
      subnet = mkOption {
        type = types.strMatching "[0-9.]+/[0-9]+";
        default = "10.89.77.0/24";
        description = "Its addresses.";
      };
      gateway = mkOption {
        type = types.strMatching "[0-9.]+";
        default = "10.89.77.1";
        description = "This machine's address in it, which apps know as host.containers.internal.";
      };
    };
  };

  options.bloud.apps = mkOption {
    type = types.attrsOf (types.submodule { options = appOptions; });
    default = { };
    example = lib.literalExpression ''{ miniflux.environment.POLLING_FREQUENCY = "15"; jellyfin.enable = false; }'';
    description = "Apps, as the agent wants them and as you override it.";
  };

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      {
        bloud.apps = byName;
        assertions =
          each (_: app: lib.all (key: builtins.match variable key != null) (lib.attrNames (app.environment // app.secretFiles)))
            "an environment variable has a name that none can have"
            apps
          ++ each (name: _: isName name) "no name of an app" apps
          ++ each (_: app: app.database.name == app.database.role) "database.name and database.role differ" databases
          ++ each (_: _: cfg.database.createLocally)
            "asks for a PostgreSQL database, for which services.bloud.database.createLocally is needed"
            databases
          ++ each (_: app: lib.all (path: builtins.match ".*/[.][.](/.*)?" path == null) (
            map (volume: volume.container) (app.volumes ++ app.mounts)
            ++ lib.attrValues app.secretFiles
            ++ lib.optional (app.database != null) app.database.passwordFile
          )) "a path in it leads upwards" apps;
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
        # Names of the other apps. Nothing else of this machine is open to them but what follows.
        networking.firewall.interfaces."${network.name}0".allowedUDPPorts = [ 53 ];
      })
      (lib.mkIf (databases != { }) {
        # PostgreSQL itself listens to nobody new: this hands connections from apps to its socket, where the password of
        # the app's role is asked for (database.nix).
        systemd.sockets.bloud-postgres = {
          description = "Bloud: PostgreSQL for apps";
          wantedBy = [ "sockets.target" ];
          listenStreams = [ "${network.gateway}:5432" ];
          # The address comes to be with the first container.
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
