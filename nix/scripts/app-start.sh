#!/bin/sh
# What a container needs before it starts. Runs as root; the arguments come from apps.nix.
#   app-start.sh <owner> <apps> <app> [volume <name>]… [secret <variable> <file>]…
# A volume is a folder that any user may write, because the user of the container is unknown; the folder around it lets
# nobody pass, so that on this machine only root gets there. A secret goes from its file, read with the rights of its
# owner, straight into podman's: it is never an argument, nor in the environment of a process outside the container.
set -eu
owner=$1 apps=$2 app=$3
shift 3

as_owner() { setpriv --reuid="$owner" --regid="$owner" --clear-groups -- "$@"; }

add_volume() {
  folder=$apps/$app/$1
  mkdir -p "$apps/$app"
  chmod 0700 "$apps/$app"
  # Only when it is new: later it is the app's own business.
  if mkdir "$folder" 2>/dev/null; then chmod 0777 "$folder"; fi
  [ -d "$folder" ]
}

add_secret() {
  # An empty secret would be a file that could not be read.
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
