# What only root can do for the agent, each as a fixed program that a file asks for:
#
#   request/current    holds the number of a run   ->  bloud-rebuild.service runs the rebuild command of this machine
#   request/rollback   holds the number of a run   ->  bloud-rollback.service runs its rollback command
#   purge/<app>        is called like an app       ->  bloud-purge.service deletes that app's data
#
# No sudo, no polkit, no shell line: the agent can ask, and can say which run or app, and that is checked by pattern.
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
  # A command as root that replaces the units of this machine, with the number of its run read from a file.
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
    # It is what replaces the units of this machine, so it must not be replaced or stopped by that.
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
      # How long it may take is the agent's business (BLOUD_BUILD_TIMEOUT), and it knows when not to stop it.
      TimeoutStartSec = "infinity";
      # Time for Nix to remove what is half built.
      TimeoutStopSec = 60;
    };
  };
in
{
  config = lib.mkIf cfg.enable {
    systemd.paths.bloud-rebuild = {
      description = "Bloud: a rebuild is asked for";
      wantedBy = [ "multi-user.target" ];
      # Not PathChanged: a request made just before a power cut is still there after it.
      pathConfig.PathExists = "${state}/request/current";
    };

    systemd.services.bloud-rebuild = switchService "Bloud: rebuilds this machine" [ ] cfg.rebuildCommand;

    systemd.paths.bloud-rollback = {
      description = "Bloud: a rollback is asked for";
      wantedBy = [ "multi-user.target" ];
      pathConfig.PathExists = "${state}/request/rollback";
    };

    systemd.services.bloud-rollback = switchService "Bloud: rolls this machine back" [
      "--rollback"
    ] cfg.rollbackCommand;

    systemd.paths.bloud-purge = {
      description = "Bloud: an app's data is to be deleted";
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

    # Both belong to root: what is below is mounted into containers, and no link may lead them elsewhere.
    systemd.tmpfiles.rules = [
      "d /var/lib/bloud 0755 root root -"
      "d /var/lib/bloud/apps 0711 root root -"
    ];
  };
}
