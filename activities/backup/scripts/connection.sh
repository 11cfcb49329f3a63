# How all scripts that speak to a database reach it. They come in one piece, so that all of it arrives or none, and go on
# when the connection breaks.
#
# Parameters: host, port, user, password, database, options (the server's settings).

set -uo pipefail
trap '' PIPE HUP
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
export PGHOST=$host PGPORT=$port PGUSER=$user PGPASSWORD=$password PGDATABASE=$database PGOPTIONS=$options
export PGCONNECT_TIMEOUT=10 PGTZ=UTC PGCLIENTENCODING=UTF8 PGAPPNAME=scaleway-infra

command -v psql >/dev/null || exit 127

# OPTION...: what psql reads on standard input.
ask() { psql --no-psqlrc -qAtX -v ON_ERROR_STOP=1 -v VERBOSITY=verbose -v SHOW_CONTEXT=never "$@"; }
