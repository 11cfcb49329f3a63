# Commands that need the application's variables. They run in units of their own: systemd reads the env file, which only
# root may, and goes on when the connection breaks.
#
# Parameters: commit, command, lock_timeout, statement_timeout, limit.

unit_options=(
    --quiet --collect
    --property=Type=exec
    --property=User="$user"
    --property=WorkingDirectory="$releases/$commit"
    --property=RuntimeMaxSec="$limit"
    --property=TimeoutStopSec=10
    --setenv=PATH="$PATH"
    --setenv=PGOPTIONS="-c lock_timeout=$lock_timeout -c statement_timeout=$statement_timeout"
    --setenv=MIGRATE_LOCK_TIMEOUT_MS="$lock_timeout"
    --setenv=MIGRATE_STATEMENT_TIMEOUT_MS="$statement_timeout"
)
if [ -n "$env_file" ]; then unit_options+=(--property=EnvironmentFile="$env_file"); fi
[ -e "$state/$commit.prepared" ] || fail 1 "$commit is not prepared on this node"

# FILE: the command in a file, as systemd would read variables out of its own command lines.
command_file() { put "$1" <<<"$command"; }
