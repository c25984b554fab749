# Sets of apps that several modules use: `apps` that run in a container, and `databases` with the apps that
# have a database.
{ config, lib }:
let
  cfg = config.services.bloud;

  # True for the app "postgres" if the machine itself runs PostgreSQL. The app then gets no container, because
  # a second PostgreSQL server could not listen on the same port.
  isProvided = name: name == "postgres" && cfg.database.createLocally;
in
rec {
  apps = lib.filterAttrs (
    name: app: app.enable && app.image != null && !isProvided name
  ) config.bloud.apps;
  databases = lib.filterAttrs (_: app: app.database != null) apps;
}
