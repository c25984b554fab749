#!/bin/sh
# Restarts the agent after its package or settings have changed, but not before the end of a rebuild.
#   refresh.sh changed     called by bloud-refresh.service after a change
#   refresh.sh finished    called by bloud-rebuild.service and bloud-rollback.service at their end
set -eu
marker=${RUNTIME_DIRECTORY:-/run/bloud-refresh}/pending

restart() {
  rm -f "$marker"
  systemctl try-restart --no-block bloud-relay.service bloud-orchestrator.service
}

case $1 in
changed)
  for unit in bloud-rebuild bloud-rollback; do
    case $(systemctl show --property=ActiveState --value "$unit.service") in
    activating | active | deactivating)
      : >"$marker"
      exit
      ;;
    esac
  done
  restart
  ;;
finished) if [ -e "$marker" ]; then restart; fi ;;
esac
