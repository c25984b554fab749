# PostgreSQL databases of apps, and the TCP port on which containers reach PostgreSQL.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  cfg = config.services.bloud;
  network = cfg.apps.network;
  proxy = "${config.systemd.package}/lib/systemd/systemd-socket-proxyd";
  inherit (import ./app-sets.nix { inherit config lib; }) databases;

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
      ExecStart = utils.escapeSystemdExecArgs [
        pkgs.runtimeShell
        "${./scripts/app-database.sh}"
        "bloud"
        app.database.role
        app.database.passwordFile
        "${./scripts/app-database.sql}"
      ];
      # The script needs root only to switch to two other users: the owner of the password file, and postgres.
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
in
{
  config = lib.mkIf (cfg.enable && databases != { }) {
    # Forwards TCP connections of containers to PostgreSQL's Unix socket, so that PostgreSQL itself need not
    # listen on the network of the containers.
    systemd.sockets.bloud-postgres = {
      description = "Bloud: PostgreSQL for apps";
      wantedBy = [ "sockets.target" ];
      listenStreams = [ "${network.gateway}:5432" ];
      # FreeBind lets the socket listen before podman has created the network with this address.
      socketConfig.FreeBind = true;
    };
    systemd.services = {
      bloud-postgres = {
        description = "Bloud: PostgreSQL for apps";
        requires = [ "bloud-postgres.socket" ];
        after = [
          "bloud-postgres.socket"
          "postgresql.service"
        ];
        serviceConfig = {
          ExecStart = "${proxy} /run/postgresql/.s.PGSQL.5432";
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
    }
    // lib.mapAttrs' (
      name: app: lib.nameValuePair "bloud-database-${name}" (databaseUnit name app)
    ) databases;

    networking.firewall.interfaces."${network.name}0".allowedTCPPorts = [ 5432 ];
  };
}
