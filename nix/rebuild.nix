# The three tasks that need root. The agent starts a fixed program for a task by writing a request file:
#
#   request/current    contains the id of a run    ->  bloud-rebuild.service runs the rebuild command
#   request/rollback   contains the id of a run    ->  bloud-rollback.service runs the rollback command
#   purge/<app>        is named after an app       ->  bloud-purge.service deletes that app's data
#
# There is no sudo, no polkit and no shell line. The agent chooses only the run of the switch command or the
# app, and a pattern checks the choice.
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
  # Returns a systemd unit that runs a command as root. The command rebuilds this machine or rolls it back.
  # The id of the run is read from a file that the agent has written.
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
    # The command replaces the units of this machine, also this unit. These options prevent NixOS from
    # stopping the unit while the command still runs.
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
      # systemd does not limit the time of the command, because the agent enforces a limit
      # (BLOUD_BUILD_TIMEOUT). Unlike systemd, the agent never stops a command during the activation.
      TimeoutStartSec = "infinity";
      # Time in seconds after which systemd kills a command that does not stop. Nix needs this time to remove
      # half-built outputs.
      TimeoutStopSec = 60;
    };
  };
in
{
  config = lib.mkIf cfg.enable {
    systemd.paths.bloud-rebuild = {
      description = "Bloud: a rebuild is requested";
      wantedBy = [ "multi-user.target" ];
      # PathExists is used instead of PathChanged, because PathChanged would miss a request file that was
      # written just before a power failure.
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

    # The two directories belong to root, because containers mount directories below them. Only root can then
    # replace a mounted directory by a link.
    systemd.tmpfiles.rules = [
      "d /var/lib/bloud 0755 root root -"
      "d /var/lib/bloud/apps 0711 root root -"
    ];
  };
}
