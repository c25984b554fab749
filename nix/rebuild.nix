# systemd services for the three tasks that need root. The agent (relay and orchestrator) has no root
# privileges and starts a service by writing a request file to /var/lib/bloud/nixos:
#   request/current    starts bloud-rebuild.service, which rebuilds this machine
#   request/rollback   starts bloud-rollback.service, which rolls this machine back
#   purge/<app>        starts bloud-purge.service, which deletes the data of the app
# The commands are part of this configuration, so that the agent can't choose a command that runs as root.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  cfg = config.services.bloud;
  state = "/var/lib/bloud/nixos";
  switchService = description: options: command: {
    inherit description;
    environment =
      config.nix.envVars
      // config.networking.proxy.envVars
      // {
        inherit (config.environment.sessionVariables) NIX_PATH;
        HOME = "/root";
      };
    path = [
      pkgs.coreutils
      pkgs.gnutar
      pkgs.xz
      pkgs.gzip
      pkgs.gitMinimal
      config.nix.package
      config.programs.ssh.package
    ];
    # This service runs `nixos-rebuild switch`, which must therefore not stop the service.
    restartIfChanged = false;
    stopIfChanged = false;
    unitConfig.X-StopOnRemoval = false;
    startLimitIntervalSec = 0;
    serviceConfig = {
      Type = "oneshot";
      ExecStart = utils.escapeSystemdExecArgs (
        [
          "${cfg.package}/bin/bloud-rebuild"
          "--state"
          state
          "--profile"
          "/nix/var/nix/profiles/system"
          "--current"
          "/run/current-system"
        ]
        ++ options
        ++ [ "--" ]
        ++ command
      );
      ExecStopPost = utils.escapeSystemdExecArgs [
        pkgs.runtimeShell
        "${./scripts/refresh.sh}"
        "finished"
      ];
      # systemd sets no time limit, because it could stop the command while the command replaces units. The
      # agent has a time limit of its own (BLOUD_BUILD_TIMEOUT).
      TimeoutStartSec = "infinity";
      # Nix needs this time to remove unfinished builds after it was stopped.
      TimeoutStopSec = 60;
    };
  };
in
{
  config = lib.mkIf cfg.enable {
    systemd.paths.bloud-rebuild = {
      description = "Bloud: a rebuild is requested";
      wantedBy = [ "multi-user.target" ];
      # PathChanged instead of PathExists would miss a request file that was written before a power failure.
      pathConfig.PathExists = "${state}/request/current";
    };

    systemd.services.bloud-rebuild = switchService "Bloud: rebuilds this machine" [ ] cfg.rebuildCommand;

    systemd.paths.bloud-rollback = {
      description = "Bloud: a rollback is requested";
      wantedBy = [ "multi-user.target" ];
      pathConfig.PathExists = "${state}/request/rollback";
    };

    systemd.services.bloud-rollback = switchService "Bloud: rolls this machine back" [
      "--rollback"
    ] cfg.rollbackCommand;

    systemd.paths.bloud-purge = {
      description = "Bloud: deletion of an app's data is requested";
      wantedBy = [ "multi-user.target" ];
      pathConfig.DirectoryNotEmpty = "${state}/purge";
    };

    systemd.services.bloud-purge = {
      description = "Bloud: deletes an app's data";
      path = [
        pkgs.coreutils
        pkgs.findutils
        pkgs.util-linux
      ];
      startLimitIntervalSec = 0;
      serviceConfig = {
        Type = "oneshot";
        ExecStart = utils.escapeSystemdExecArgs [
          pkgs.runtimeShell
          "${./scripts/purge.sh}"
          "bloud"
          "${state}/purge"
          "/var/lib/bloud/apps"
        ];
        CapabilityBoundingSet = [
          "CAP_DAC_OVERRIDE"
          "CAP_FOWNER"
          "CAP_SETUID"
          "CAP_SETGID"
        ];
        NoNewPrivileges = true;
        PrivateNetwork = true;
        PrivateTmp = true;
        ProtectHome = true;
        ProtectSystem = "strict";
        ReadWritePaths = [ "/var/lib/bloud" ];
        RestrictAddressFamilies = [ "AF_UNIX" ];
        SystemCallArchitectures = "native";
        TimeoutStartSec = 600;
      };
    };

    # Both directories belong to root, so that no other user can replace a directory that containers mount by
    # a symbolic link.
    systemd.tmpfiles.rules = [
      "d /var/lib/bloud 0755 root root -"
      "d /var/lib/bloud/apps 0711 root root -"
    ];
  };
}
