#!/bin/sh
# Deletes the data of purged apps. Runs as root, because the files belong to the users inside the containers.
#   purge.sh <owner> <requests> <apps>
# Each file in <requests> has the name of an app, whose data is deleted. The file is removed even after a
# failure, because the agent itself checks whether <apps>/<app> still exists. <apps> belongs to root, so that
# only root can create a link in <apps>.
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
    echo "refused: this is not an app name" >&2
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
# Removes files whose names contain a newline or other characters that the loop above can't process.
as_owner find "$requests/" -mindepth 1 -maxdepth 1 -name '*[!a-z0-9-]*' -exec rm -rf -- {} +
