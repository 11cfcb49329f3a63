# The application's units, and who is connected to them.
#
# Parameters: units, grace, address, port.

unit() { systemctl show --timestamp=us+utc -P "$2" "$1.service"; }

# UNIT: the release that its main process works in, whatever the application says; empty if it is none.
commit_of() {
    local pid folder root
    pid=$(unit "$1" MainPID)
    [ "$pid" != 0 ] || return 0
    folder=$(readlink "/proc/$pid/cwd") || return 0
    root=$(readlink -f "$releases") || return 0
    case $folder in
        "$root"/*)
            folder=${folder#"$root"/}
            printf '%s' "${folder%%/*}"
            ;;
    esac
}

# Established connections to the application's port that do not come from the node itself. Machines of a rehearsal share
# one network namespace, so only those at the node's own address are its own.
connections() {
    ss -Htn state established "src = $address and sport = :$port and not dst = $address" | wc -l
}

# COMMIT: whether all units run it.
all_run() {
    local name
    for name in "${units[@]}"; do
        [ "$(unit "$name" ActiveState)" = active ] && [ "$(commit_of "$name")" = "$1" ] || return 1
    done
}

# UNIT: the end of what it said.
last_words() { journalctl -u "$1.service" -n 20 --no-pager -o cat >&2 || true; }

# UNIT: stop it with grace, then without.
stop_unit() {
    timeout "$grace" systemctl stop "$1.service" && return
    systemctl kill --signal=KILL "$1.service"
    systemctl stop "$1.service"
}

# UNIT: restart it; systemd starts the new process the moment the old one is gone, or the unit hands over by itself.
restart_unit() {
    local pid killer status=0
    pid=$(unit "$1" MainPID)
    systemctl reset-failed "$1.service" 2>/dev/null || true
    (
        end=$((SECONDS + ${grace%.*} + 1))
        while [ "$pid" != 0 ] && [ -d "/proc/$pid" ] && ((SECONDS < end)); do sleep 0.1; done
        if [ "$pid" != 0 ] && [ -d "/proc/$pid" ]; then kill -KILL "$pid"; fi
    ) 9>&- 3>&- >/dev/null 2>&1 </dev/null &
    killer=$!
    systemctl restart "$1.service" || status=$?
    kill "$killer" 2>/dev/null || true
    wait "$killer" 2>/dev/null || true
    if ((status)); then
        last_words "$1"
        fail 1 "$1 does not start"
    fi
}

# TOKEN: void what an earlier step left running. Once the lock is ours, a later step may have been here already, and
# what it did must not be undone.
fence() {
    local newest
    newest=$(cat "$state/fence" 2>/dev/null || echo 0)
    (($1 >= newest)) || fail 75 "a later step has been here: this one is void"
    put "$state/fence" <<<"$1"
}
