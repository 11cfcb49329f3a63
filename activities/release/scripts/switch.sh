# Another release, or the same one anew (`restart`), or none any more (`stop`).
#
# `last` holds what the last step did, so that its repetition can tell it: step, release before, connections, seconds.
#
# Parameters: action, commit, step, attempt.

trap '' PIPE HUP
lock switch
fence "$((step + attempt))"

before=$(current)
at= previous= open= seconds=
if [ -e "$state/last" ]; then read -r at previous open seconds <"$state/last"; fi

tell() {
    result "previous ${1#-}"
    result "connections $2"
    result "seconds $3"
    exit 0
}

if [ "$at" = "$step" ]; then
    # An earlier attempt of this step was here: it knows what ran before.
    if [ -n "$seconds" ]; then tell "$previous" "$open" "$seconds"; fi
    before=${previous#-}
fi
if [ "$action" = switch ]; then
    if [ ! -e "$releases/$commit/REVISION" ] || [ ! -e "$state/$commit.prepared" ]; then
        fail 1 "$commit is not prepared on this node"
    fi
    if [ "$(current)" = "$commit" ] && all_run "$commit"; then tell "${before:--}" 0 0; fi
fi
put "$state/last" <<<"$step ${before:--}"

# Those behind the first one stop before it and start after it. The first one, which has the connections, is gone for as
# short as can be: the link is there before it stops.
began=$(microseconds)
for ((index = ${#units[@]} - 1; index > 0; index--)); do stop_unit "${units[index]}"; done
open=$(connections)
case $action in
    stop) stop_unit "${units[0]}" ;;
    *)
        if [ "$action" = switch ]; then
            ln -sfn "releases/$commit" "$directory/current.new"
            mv -fT "$directory/current.new" "$directory/current"
        fi
        for name in "${units[@]}"; do restart_unit "$name"; done
        ;;
esac
seconds=$(($(microseconds) - began))
seconds=$((seconds / 1000000)).$(printf %06d $((seconds % 1000000)))
put "$state/last" <<<"$step ${before:--} $open $seconds"
tell "${before:--}" "$open" "$seconds"
