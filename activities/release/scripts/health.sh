# Whether the units run a release and the node says that it is well: within a time, and then for a time.
#
# Exit code 3: they do not, or not any more. Parameters: commit, health, within, hold (milliseconds).

declare -A restarts
for name in "${units[@]}"; do restarts[$name]=$(unit "$name" NRestarts); done

# UNIT WORDS...: it will not get well by waiting.
broken() {
    last_words "$1"
    shift
    result "why $*"
    exit 3
}

# Sets `why`; empty if all is well.
look() {
    local name property value active sub count runs
    why=
    for name in "${units[@]}"; do
        while IFS== read -r property value; do
            case $property in
                ActiveState) active=$value ;;
                SubState) sub=$value ;;
                NRestarts) count=$value ;;
            esac
        done < <(systemctl show -p ActiveState,SubState,NRestarts "$name.service")
        if [ "$active" = failed ]; then broken "$name" "$name has failed"; fi
        if [ "$sub" = auto-restart ] || ((count > restarts[$name])); then broken "$name" "$name ends by itself"; fi
        if [ "$active" != active ]; then why="$name is $active" && return; fi
        runs=$(commit_of "$name")
        if [ "$runs" != "$commit" ]; then why="$name runs ${runs:-no release}" && return; fi
    done
    # The node asks from its own address, so that it does not count among its connections. No authority has ever
    # certified that address.
    value=$(curl -sk -o /dev/null --max-time 5 --interface "$address" -w '%{http_code}' "$health") || true
    if [ "$value" != 200 ]; then why="$health answers ${value/#000/nothing}"; fi
}

began=$(microseconds) since= misses=0
while :; do
    look
    now=$(microseconds)
    if [ -z "$why" ]; then
        since=${since:-$now} misses=0
        if ((now - since >= hold * 1000)); then exit 0; fi
    elif [ -n "$since" ]; then
        # One answer may get lost; three in a row do not.
        misses=$((misses + 1))
        if ((misses >= 3)); then broken "${units[0]}" "no longer: $why"; fi
    elif ((now - began >= within * 1000)); then
        broken "${units[0]}" "not within $((within / 1000)) s: $why"
    fi
    sleep 0.2
done
