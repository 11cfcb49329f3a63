# How a node gets its agent: builds upon the functions of a setup. The agent itself is restarted, once anything changed.

restart=
[ -f "$folder/record.json" ] || restart=yes

# Forgotten until the new agent runs: a script that is cut off here begins again.
changed() {
    # What is noted down changes nothing.
    case $* in "file $folder/"*) return ;; esac
    printf 'changed: %s\n' "$*"
    restart=yes
    rm -f -- "$folder/record.json"
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# NAME [URL SHA256]. Exit code 69: it is not there, and nobody says where it comes from. 65: what came is something else.
package() {
    local deb
    if [ $# -eq 1 ]; then
        is_installed "$1" && return
        echo "$1 is not installed: give monitoring.agent.package, or let the image or cloud_init bring it" >&2
        exit 69
    fi
    ! is_installed "$1" || [ "$(cat "$folder/package" 2>/dev/null)" != "$3" ] || return 0
    deb=$folder/$1.deb
    # apt's own way to fetch: it is on every node, and knows its proxies.
    /usr/lib/apt/apt-helper -o APT::Sandbox::User=root download-file "$2" "$deb" >&2
    if ! sha256sum --quiet --check >&2 <<<"$3  $deb"; then
        rm -f -- "$deb"
        echo "$2 is not the package that the file names" >&2
        exit 65
    fi
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold \
        -o APT::Sandbox::User=root --allow-downgrades install "$deb"
    rm -f -- "$deb"
    is_installed "$1" || {
        echo "$2 is not the package $1" >&2
        exit 65
    }
    printf '%s\n' "$3" | base64 | put "$folder/package" 0600 root:root
    changed "package $1"
}

# UNIT CONFIGURATION VARIABLES. Exit code 78: the agent does not take its configuration, or does not stay up with it.
agent() {
    if [ "$(systemctl is-enabled "$1" 2>/dev/null)" != enabled ]; then
        systemctl --quiet enable "$1"
        changed "unit $1 enabled"
    fi
    [ -n "$restart" ] || ! systemctl --quiet is-active "$1" || return 0
    # As in the unit: the agent takes no configuration whose folder for state is not there.
    systemd-run --quiet --wait --pipe --property EnvironmentFile="$3" --property User="$1" --property StateDirectory="$1" \
        "/usr/bin/$1" validate "--config=$2" >&2 || {
        echo "$1 cannot be run, or does not take $2" >&2
        exit 78
    }
    systemctl daemon-reload
    systemctl restart "$1"
    # One that finds its address taken, say, ends at once.
    sleep 1
    systemctl --quiet is-active "$1" || {
        journalctl --quiet --no-pager --lines 5 --output cat --unit "$1" >&2
        exit 78
    }
    printf 'changed: %s restarted\n' "$1"
}
