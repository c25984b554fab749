# PostgreSQL on this machine. The agent enters over the socket, where the kernel tells PostgreSQL which system user is
# there (peer): no password exists. Apps are let in with the password of their own role, and to their own database only.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.bloud;
  mapped = user: role: "bloud ${user} ${role}";
  login = name: {
    inherit name;
    ensureClauses.login = true;
  };
in
{
  config = lib.mkIf (cfg.enable && cfg.database.createLocally) {
    assertions = map (name: {
      assertion = builtins.match "[A-Za-z_][A-Za-z0-9_.-]*" name != null;
      message = "services.bloud.database.operators: ${builtins.toJSON name} is no user name";
    }) cfg.database.operators;

    services.postgresql = {
      enable = true;
      ensureDatabases = [ "bloud_host_agent" ];
      # bloud-migrate.service makes every role there is, but none that can log in. These can; it finds them and adds the
      # rest. Nobody gets in by that alone: what follows says who may be which.
      ensureUsers = map login [
        "bloud_relay"
        "bloud_orchestrator"
        "bloud_operator"
      ];
      identMap = lib.concatStringsSep "\n" (
        [
          "# Bloud: system user, role"
          (mapped "bloud-relay" "bloud_relay")
          (mapped "bloud" "bloud_orchestrator")
          (mapped "root" "bloud_operator")
        ]
        ++ map (name: mapped name "bloud_operator") cfg.database.operators
        ++ [ "" ]
      );
      # Before the lines of NixOS, which let every system user in as the role of the same name. The first that fits
      # decides.
      authentication = ''
        # Bloud: the agent and its operators
        local bloud_host_agent bloud_relay,bloud_orchestrator,bloud_operator peer map=bloud
        # Bloud: apps, each to the database that is called like its role
        local sameuser +bloud_apps scram-sha-256
        local all +bloud_apps reject
        host all +bloud_apps all reject
      '';
    };
  };
}
