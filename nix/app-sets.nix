# Sets of apps that several modules use. The set `apps` contains the apps that run in a container; `databases`
# contains the apps that have a database.
{ config, lib }:
let
  cfg = config.services.bloud;

  # True for the app "postgres" if the machine itself runs the PostgreSQL server. The app then gets no
  # container, because a second server could not listen on the same port.
  isProvided = name: name == "postgres" && cfg.database.createLocally;
in
rec {
  apps = lib.filterAttrs (
    name: app: app.enable && app.image != null && !isProvided name
  ) config.bloud.apps;
  databases = lib.filterAttrs (_: app: app.database != null) apps;
}
