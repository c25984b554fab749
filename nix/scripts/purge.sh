#!/bin/sh
# Deletes the data of apps. The agent may not: a container's files belong to whatever user the container has.
#   purge.sh <owner> <requests> <apps>
# Each file in <requests> is called like an app, and is removed when its request has been dealt with, one way or the
# other: the agent looks whether <apps>/<app> is gone. <requests> belongs to <owner>, so what is done to it is done with
# the rights of <owner>; <apps> is root's, so nobody else can put a link into it.
set -eu
export LC_ALL=C
owner=$1 requests=$2 apps=$3

as_owner() { setpriv --reuid="$owner" --regid="$owner" --clear-groups -- "$@"; }

is_app_name() {
  case $1 in
  *[!a-z0-9-]* | [!a-z]* | '') return 1 ;;
  esac
  [ "${#1}" -le 63 ]
}

purge() {
  if ! is_app_name "$1"; then
    echo "refused: this is no name of an app" >&2
  elif systemctl --quiet is-active "podman-$1.service"; then
    echo "refused: $1 is running" >&2
  else
    rm -rf --one-file-system -- "./$1"
    echo "deleted: $1"
  fi
}

cd "$apps"
[ "$(pwd -P)" = "$apps" ]
as_owner find "$requests/" -mindepth 1 -maxdepth 1 -printf '%f\n' | while IFS= read -r app; do
  purge "$app" || echo "$app could not be deleted" >&2
  as_owner rm -rf -- "$requests/$app"
done
# What a line of that list can't name.
as_owner find "$requests/" -mindepth 1 -maxdepth 1 -name '*[!a-z0-9-]*' -exec rm -rf -- {} +
