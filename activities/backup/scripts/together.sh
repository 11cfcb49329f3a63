# Statements for a database, all of them in one transaction or none. It tells the index of each before it runs.
#
# Parameters: host, port, user, password, database, options, statements.

set -uo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
export PGHOST=$host PGPORT=$port PGUSER=$user PGPASSWORD=$password PGDATABASE=$database PGOPTIONS=$options
export PGCONNECT_TIMEOUT=10 PGTZ=UTC PGCLIENTENCODING=UTF8 PGAPPNAME=scaleway-infra

command -v psql >/dev/null || exit 127
commands=()
# Never a command to psql itself: those begin with a backslash, and these with a space.
for index in "${!statements[@]}"; do commands+=(-c "\\echo $index" -c " ${statements[index]}"); done
psql --no-psqlrc -qAtX -o /dev/null -v ON_ERROR_STOP=1 -v VERBOSITY=verbose -v SHOW_CONTEXT=never \
    --single-transaction "${commands[@]}"
