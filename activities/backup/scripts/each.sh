# Statements for a database, each by itself: what one answers, or why it does not, tells nothing of the others. A line
# "<index> <exit code> <answer in base64>" for each.
#
# Parameters: host, port, user, password, database, options, statements.

set -uo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
export PGHOST=$host PGPORT=$port PGUSER=$user PGPASSWORD=$password PGDATABASE=$database PGOPTIONS=$options
export PGCONNECT_TIMEOUT=10 PGTZ=UTC PGCLIENTENCODING=UTF8 PGAPPNAME=scaleway-infra

command -v psql >/dev/null || exit 127
for index in "${!statements[@]}"; do
    # Never a command to psql itself: those begin with a backslash, and this with a space.
    answer=$(psql --no-psqlrc -qAtX -c " ${statements[index]}" 2>&1)
    printf '%s %s %s\n' "$index" "$?" "$(base64 -w 0 <<<"$answer")"
done
