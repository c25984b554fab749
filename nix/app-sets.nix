# Sets of apps that several modules use: `apps` run in a container, and `databases` are the apps with a
# database.
{ config, lib }:
let
  cfg = config.services.bloud;

  # True for the app "postgres" if that app is this machine's own PostgreSQL server. A second server could not
  # listen on the same port.
  isProvided = name: name == "postgres" && cfg.database.createLocally;
in
rec {
  apps = lib.filterAttrs (
    name: app: app.enable && app.image != null && !isProvided name
  ) config.bloud.apps;
  databases = lib.filterAttrs (_: app: app.database != null) apps;
}
