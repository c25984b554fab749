# Containers of the apps, their systemd units, and the podman network on which the apps reach each other.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  cfg = config.services.bloud;
  data = "/var/lib/bloud";
  state = "${data}/nixos";
  network = cfg.apps.network;
  inherit (import ./app-sets.nix { inherit config lib; }) apps;
  workers = lib.filterAttrs (_: app: app.worker != [ ]) apps;
  # Returns the name of an app's worker container. No app can have this name, because app names contain no
  # underscore.
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

  # Returns the path from which a container mounts a directory of the agent. The path is below a directory of
  # root, so that the agent can't replace the mounted directory by a link.
  hostPath = mount: lib.replaceStrings [ "${state}/" ] [ "${data}/" ] mount.host;
  bind = from: { container, readOnly, ... }: "${from}:${container}${lib.optionalString readOnly ":ro"}";

  container = name: app: {
    # NixOS removes the directory /run/<service name> when the container stops. The prefix keeps an app from
    # removing the directory of a service that is named like the app.
    serviceName = "podman-${name}";
    inherit (app) image environment;
    # User of the container. A container with mounts runs as the agent's user to be able to read the mounted
    # files.
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
      # Removes the network alias, because the app's name on the network must lead to the main container.
      extraOptions = lib.filter (option: option != "--network-alias=${name}") (container name app).extraOptions;
    };

  # Returns the systemd unit of an app's worker container, which starts and stops with the app's main
  # container.
  workerUnit = name: {
    requires = [ "podman-${name}.service" ];
    after = [ "podman-${name}.service" ];
    partOf = [ "podman-${name}.service" ];
    serviceConfig.RestartSec = 5;
  };

  containerUnit =
    name: app:
    let
      # Units that start before the container. `requires` is not used, because a restart of a database would
      # then stop the apps that use the database.
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
          (utils.escapeSystemdExecArgs (
            [
              pkgs.runtimeShell
              "${./scripts/app-start.sh}"
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
in
{
  config = lib.mkIf (cfg.enable && apps != { }) {
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
    # Opens port 53 (DNS) to apps, because apps resolve the names of other apps.
    networking.firewall.interfaces."${network.name}0".allowedUDPPorts = [ 53 ];
  };
}
