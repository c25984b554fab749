# PostgreSQL on this machine. Bloud's agent needs no password, because PostgreSQL checks the system user of a
# connection over the Unix socket (peer authentication). An app connects with the password of its own role,
# and only to its own database.
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
      message = "services.bloud.database.operators: ${builtins.toJSON name} is not a user name";
    }) cfg.database.operators;

    services.postgresql = {
      enable = true;
      ensureDatabases = [ "bloud_host_agent" ];
      # Only the roles that may log in are created here. bloud-migrate.service creates all other roles.
      ensureUsers = map login [
        "bloud_relay"
        "bloud_orchestrator"
        "bloud_psql"
      ];
      identMap = lib.concatStringsSep "\n" (
        [
          "# Bloud: system user, role"
          (mapped "bloud-relay" "bloud_relay")
          (mapped "bloud" "bloud_orchestrator")
          (mapped "root" "bloud_psql")
        ]
        ++ map (name: mapped name "bloud_psql") cfg.database.operators
        ++ [ "" ]
      );
      # This text is the beginning of pg_hba.conf. PostgreSQL uses the first line that matches, and later
      # lines of NixOS would let every system user connect as the role with the same name.
      authentication = ''
        # Bloud: the processes of the agent, and operators with psql
        local bloud_host_agent bloud_relay,bloud_orchestrator,bloud_psql peer map=bloud
        # Bloud: each app may use only the database that has the name of its role
        local sameuser +bloud_apps scram-sha-256
        local all +bloud_apps reject
        host all +bloud_apps all reject
      '';
    };
  };
}
