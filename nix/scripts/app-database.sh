#!/bin/sh
# Creates the PostgreSQL role and database of one app, both named <role>, with the password in <file>.
#   app-database.sh <owner> <role> <file> <sql>
# The password of an existing role is set again. The file is read with the rights of <owner>.
set -eu
owner=$1 role=$2 file=$3 sql=$4

as_owner() { setpriv --reuid="$owner" --regid="$owner" --clear-groups -- "$@"; }
as_superuser() { setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"; }

as_owner test -s "$file"
as_owner cat -- "$file" |
  as_superuser psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=role="$role" --dbname=postgres \
    --file="$sql"
