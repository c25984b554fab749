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
  # Name of the second container of an app, for background tasks. App names contain no underscore, so no app
  # has this name.
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
      given = app.resources.cpus or null;
      value = if builtins.isString given then given else builtins.toJSON given;
    in
    if app.resources == null || value == "null" then
      [ ]
    else if builtins.match "[0-9]+([.][0-9]+)?" value != null then
      [ "--cpus=${value}" ]
    else
      throw "bloud: ${app.name}: resources.cpus must be a number";

  # The container mounts a path below /var/lib/bloud, which belongs to root, so that the agent can't replace
  # the mounted directory by a symbolic link.
  hostPath = mount: lib.replaceStrings [ "${state}/" ] [ "${data}/" ] mount.host;
  bind = from: { container, readOnly, ... }: "${from}:${container}${lib.optionalString readOnly ":ro"}";

  container = name: app: {
    # NixOS removes the directory /run/<service name> when a container stops. Without the prefix, an app with
    # the name of another service would cause the removal of that service's directory.
    serviceName = "podman-${name}";
    inherit (app) image environment;
    # Only the user of the agent can read the mounted files, so a container with mounts runs as this user.
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
      # The app's name on the network must lead only to the main container.
      extraOptions = lib.filter (option: option != "--network-alias=${name}") (container name app).extraOptions;
    };

  workerUnit = name: {
    requires = [ "podman-${name}.service" ];
    after = [ "podman-${name}.service" ];
    partOf = [ "podman-${name}.service" ];
    serviceConfig.RestartSec = 5;
  };

  containerUnit =
    name: app:
    let
      # The apps on which this app depends start first. With `requires` instead of `wants`, a restart of one
      # of them would stop this app.
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
    # Containers find each other by name, with DNS requests to port 53 of this machine.
    networking.firewall.interfaces."${network.name}0".allowedUDPPorts = [ 53 ];
  };
}
