# Two sets of apps that several modules use: `apps` (apps that run in a container) and `databases` (those of
# these apps that have a PostgreSQL database).
{ config, lib }:
let
  cfg = config.services.bloud;

  # The app "postgres" gets no container if the machine itself runs PostgreSQL, because both would use the
  # same port.
  isProvided = name: name == "postgres" && cfg.database.createLocally;
in
rec {
  apps = lib.filterAttrs (
    name: app: app.enable && app.image != null && !isProvided name
  ) config.bloud.apps;
  databases = lib.filterAttrs (_: app: app.database != null) apps;
}
