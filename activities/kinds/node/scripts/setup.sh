# How a node becomes as declared. Every function may run again, and changes what differs only. Nothing is restarted.
# What follows this text calls them from a function, so that a text that arrives in part does nothing.

set -euo pipefail
umask 077

folder=${folder:-/var/lib/scaleway-infra/setup}
units_changed=

# One at a time: a script whose connection was lost may still be at it. Exit code 75: it is.
lock() {
    install -d -m 0700 "$folder"
    exec 9>"$folder/lock"
    flock -w 30 9 || exit 75
}

changed() { printf 'changed: %s\n' "$*"; }

# NAME
host() {
    printf '%s\n' "$1" | base64 | put /etc/hostname 0644 root:root
    [ "$(uname -n)" != "$1" ] || return 0
    hostname "$1"
    changed "host name $1"
}

# NAME...
packages() {
    local name missing=()
    for name; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done
    ((${#missing[@]})) || return 0
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update
    apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold install "${missing[@]}"
    changed "packages ${missing[*]}"
}

# NAME HOME SHELL GROUPS, the groups with commas between
user() {
    local now home shell options=()
    if ! now=$(getent passwd "$1"); then
        useradd --create-home --home-dir "$2" --shell "$3" --user-group --groups "$4" "$1"
        changed "user $1"
        return
    fi
    IFS=: read -r _ _ _ _ _ home shell <<<"$now"
    [ "$home" = "$2" ] || options+=(--home "$2")
    [ "$shell" = "$3" ] || options+=(--shell "$3")
    now=$(id -nG -- "$1" | tr ' ' '\n' | grep -vxF -- "$(id -ng -- "$1")" | sort | paste -sd, -) || true
    [ "$now" = "$4" ] || options+=(--groups "$4")
    ((${#options[@]})) || return 0
    usermod "${options[@]}" "$1"
    changed "user $1"
}

# PATH MODE OWNER
directory() {
    if [ ! -d "$1" ]; then
        install -d -m "$2" "$1"
        changed "folder $1"
    fi
    own "$1" "$2" "$3"
}

# PATH MODE OWNER, the content in base64 on standard input. Readers see the old file or the new one.
put() {
    local aside
    aside=$(dirname -- "$1")/.$(basename -- "$1").setup
    [ -d "$(dirname -- "$1")" ] || install -d -m 0755 "$(dirname -- "$1")"
    rm -f -- "$aside"
    base64 -d >"$aside"
    if cmp -s -- "$aside" "$1"; then
        rm -f -- "$aside"
        own "$1" "$2" "$3"
        return
    fi
    chown -- "$3" "$aside"
    chmod -- "$2" "$aside"
    mv -fT -- "$aside" "$1"
    changed "file $1"
    case $1 in /etc/systemd/*) units_changed=yes ;; esac
}

# PATH MODE OWNER
own() {
    if [ "$(stat -c %U:%G -- "$1")" != "$3" ]; then
        chown -- "$3" "$1"
        changed "owner of $1"
    fi
    if [ "$(printf '%04o' "0$(stat -c %a -- "$1")")" != "$2" ]; then
        chmod -- "$2" "$1"
        changed "mode of $1"
    fi
}

# UNIT...
units() {
    local name
    for name; do
        # Also after a setup that was cut off between the file and the reload.
        [ "$(systemctl show --property NeedDaemonReload --value "$name.service")" != yes ] || units_changed=yes
    done
    [ -z "$units_changed" ] || systemctl daemon-reload
    for name; do
        [ "$(systemctl is-enabled "$name.service" 2>/dev/null)" != enabled ] || continue
        systemctl --quiet enable "$name.service"
        changed "unit $name enabled"
    done
}
