#!/bin/sh
# Creates the volumes and secrets of an app's container before the container starts. Runs as root with
# arguments from containers.nix.
#   app-start.sh <owner> <apps> <app> [volume <name>]… [secret <variable> <file>]…
# A volume is a directory that any user may write, because the user inside the container is unknown. Outside
# the container only root can reach the volume, because the parent directory has mode 0700. A secret is read
# with the rights of <owner> and piped to podman, so that no argument contains the secret.
set -eu
owner=$1 apps=$2 app=$3
shift 3

as_owner() { setpriv --reuid="$owner" --regid="$owner" --clear-groups -- "$@"; }

add_volume() {
  directory=$apps/$app/$1
  mkdir -p "$apps/$app"
  chmod 0700 "$apps/$app"
  # Sets the mode only of a new volume, because the app may change the mode later.
  if mkdir "$directory" 2>/dev/null; then chmod 0777 "$directory"; fi
  [ -d "$directory" ]
}

add_secret() {
  # Ends the script if the file of the secret is missing, unreadable or empty.
  as_owner test -s "$2"
  as_owner cat -- "$2" | podman secret create --replace "bloud-$app-$1" - >/dev/null
}

while [ $# -gt 0 ]; do
  case $1 in
  volume)
    add_volume "$2"
    shift 2
    ;;
  secret)
    add_secret "$2" "$3"
    shift 3
    ;;
  *) exit 64 ;;
  esac
done
