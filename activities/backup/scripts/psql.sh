# Statements for a database, in one psql. They come with the script, so that all of them arrive or none, and go on when
# the connection breaks.
#
# Parameters: host, port, user, password, database, options, sql, otherwise (statements for when they fail).

set -uo pipefail
trap '' PIPE HUP
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
export PGHOST=$host PGPORT=$port PGUSER=$user PGPASSWORD=$password PGDATABASE=$database PGOPTIONS=$options
export PGCONNECT_TIMEOUT=10 PGTZ=UTC PGCLIENTENCODING=UTF8 PGAPPNAME=scaleway-infra

command -v psql >/dev/null || exit 127
ask() { psql --no-psqlrc -qAtX -v ON_ERROR_STOP=1 -v VERBOSITY=verbose -v SHOW_CONTEXT=never -f -; }

ask <<<"$sql"
status=$?
if [ "$status" != 0 ] && [ -n "$otherwise" ]; then
    # The server may be on its way up again.
    for _ in {1..20}; do
        if ask <<<"$otherwise"; then break; fi
        sleep 1
    done
fi
exit "$status"
