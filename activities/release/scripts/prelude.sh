# What all scripts share. Their results go to standard output, as "<key> <value>" lines; whatever commands print is for
# people, and goes to standard error. Each may be killed at any line, and run again: what counts is written aside and
# renamed.
#
# Parameters: directory, user, env_file, plain (names of variables that are no secret).

set -euo pipefail
umask 022
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8

# A sed script that hides the application's secrets: values of its env file, and passwords in those that are URLs, as
# they stand there and as drivers know them (in ASCII: sed takes no half of a character), the longest first. A key of
# several lines may end like "Rm9v==", which is no name, and a line of JSON like \", which does not end the value. They go
# through pipes and builtins only: a process list shows arguments.
hiding() {
    [ -r "$env_file" ] || return 0
    local names=${plain[*]} found escaped
    found=$(
        grep -vE "^(${names// /|})=" "$env_file" |
            sed -E 's/^[A-Za-z_][A-Za-z0-9_]*=(.*[^="'\''])/\1/
                s/^["'\'']//; s/^(([^\]|\\.)*)["'\'']$/\1/; s/\\([\\"$`])/\1/g
                p; s|^[^:]*://[^:/@]*:([^@/]*)@.*|\1|p'
    )
    escaped=$(printf '%s' "$found" | sed -E 's/\\/\\\\/g; s/%([2-7][0-9A-Fa-f])/\\x\1/g')
    printf '%s\n%b\n' "$found" "$escaped" |
        awk 'length >= 6 { print length, $0 }' | sort -rn | uniq | cut -d " " -f 2- |
        sed 's/[][\.*^$/]/\\&/g; s|.*|s/&/[secret]/g|'
}
# Applications print what they like, and what reaches the worker is kept in its log and in Temporal.
hidden() { sed -u -f <(hiding); }
exec 3>&1
exec 1> >(hidden >&2 3>&-) 2>&1

releases=$directory/releases
# Not in the application's folder: whoever the application runs as could put links in the way of root.
state=/var/lib/scaleway-infra/releases
install -d -m 0755 "$state"

# KEY VALUE: one line of the result. The connection may be gone; what the script does must not stop for that.
result() { printf '%s\n' "$*" >&3 2>/dev/null || true; }

# STATUS WORDS...
fail() {
    local status=$1
    shift
    printf '%s\n' "$*" >&2 || true
    exit "$status"
}

# FILE: write standard input to it, all of it or nothing.
put() {
    cat >"$1.new"
    mv -f "$1.new" "$1"
}

# NAME: one script at a time. One that lost its connection may still be at work.
lock() {
    exec 9>"$state/$1.lock"
    flock -w 600 9 || fail 75 "another $1 has been at work on this node for ten minutes"
}

# As the owner of the releases, in the folder of one. What it leaves running in the background holds neither our locks nor
# our results.
as_owner() {
    local home
    home=$(getent passwd "$user" | cut -d: -f6)
    if [ "$user" = "$(id -un)" ]; then
        HOME=$home "$@" 3>&- 9>&-
    else
        runuser -u "$user" -- env HOME="$home" "$@" 3>&- 9>&-
    fi
}

# Commit that `current` leads to; empty if there is none.
current() {
    local target
    target=$(readlink "$directory/current") || return 0
    printf '%s' "${target##*/}"
}

microseconds() { printf '%s' "${EPOCHREALTIME/[.,]/}"; }
