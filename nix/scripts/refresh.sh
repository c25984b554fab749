#!/bin/sh
# Restarts the agent because it has changed, but not in the middle of a rebuild that it waits for.
#   refresh.sh changed     by systemd, when the package or the settings are others than before
#   refresh.sh finished    by bloud-rebuild.service and bloud-rollback.service, when they are over
set -eu
note=${RUNTIME_DIRECTORY:-/run/bloud-refresh}/pending

restart() {
  rm -f "$note"
  systemctl try-restart --no-block bloud-relay.service bloud-orchestrator.service
}

case $1 in
changed)
  for unit in bloud-rebuild bloud-rollback; do
    case $(systemctl show --property=ActiveState --value "$unit.service") in
    activating | active | deactivating)
      : >"$note"
      exit
      ;;
    esac
  done
  restart
  ;;
finished) if [ -e "$note" ]; then restart; fi ;;
esac
