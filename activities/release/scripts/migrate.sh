# Migrations, once: a step that is repeated waits for the unit that it began, and finds what it left behind.
#
# Parameters: step.

trap '' PIPE HUP
lock migrate
name=scaleway-infra-migrate.service
file=$state/migrate
ended=$state/migrate.ended
log=$state/migrate-$step.log
outcome=$state/migrate-$step.outcome

runs() { case $(systemctl show -P ActiveState "$name") in inactive | failed) return 1 ;; esac }

starts=yes
if [ ! -e "$log" ]; then
    # Of an earlier step that nobody waits for any more.
    while runs; do sleep 0.2; done
    find "$state" -name 'migrate-*' -mtime +30 -delete
    command_file "$file"
    put "$ended" <<<'echo "$SERVICE_RESULT $EXIT_STATUS" >"$1.new" && mv -f "$1.new" "$1"'
    : >"$log"
    systemd-run "${unit_options[@]}" --unit="$name" \
        --property=StandardOutput="append:$log" --property=StandardError="append:$log" \
        --property=ExecStopPost="+/bin/sh $ended $outcome" /bin/bash "$file" || starts=
fi

shown=0
show() {
    local size
    size=$(stat -c %s "$log")
    if ((size > shown)); then tail -c "+$((shown + 1))" "$log" | head -c "$((size - shown))" >&2 || true; fi
    shown=$size
}
while runs; do
    show
    sleep 0.2
done
show
# One that fails at once does not start either, but it has ended.
if [ -z "$starts" ] && [ ! -e "$outcome" ]; then fail 1 "the migration does not start"; fi
read -r why status <"$outcome" || fail 71 "the migration ended without a word: the node may have been restarted"
case $why in
    success)
        # To systemd a SIGTERM is a clean end.
        [ "$status" = 0 ] || fail 71 "the migration was ended by $status: the node may have been restarted"
        ;;
    timeout) fail 1 "the migration took longer than $limit s and was ended" ;;
    *) fail 1 "the migration failed: $why $status" ;;
esac
