# Everything that is known about the node before a release.
#
# Parameters: address, port, units, files.

result "clock $EPOCHREALTIME"

folder=$directory
while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
result "free $(df --output=avail -B1 "$folder" | tail -n 1 | tr -d ' ')"
result "current $(current)"
result "connections $(connections)"

known() {
    { ls -1 "$releases" 2>/dev/null || true; ls -1 "$state"; } | sed 's/\..*//' | grep -E '^[0-9a-f]{40}$' | sort -u || true
}

known | while read -r commit; do
    fetched=0 prepared=0 released=- bad=
    if [ -e "$releases/$commit/REVISION" ]; then
        fetched=$(stat -c %Y "$releases/$commit/REVISION")
        if [ -e "$state/$commit.prepared" ]; then prepared=1; fi
    fi
    if [ -e "$state/$commit.released" ]; then released=$(cat "$state/$commit.released"); fi
    if [ -e "$state/$commit.bad" ]; then bad=$(tr '\n' ' ' <"$state/$commit.bad"); fi
    result "release $commit $fetched $prepared $released $bad"
    if [ -e "$state/$commit.irreversible" ]; then result "irreversible $commit $(<"$state/$commit.irreversible")"; fi
done

newest=0
for name in "${units[@]}"; do
    started=0
    stamp=$(unit "$name" ExecMainStartTimestamp)
    if [ -n "$stamp" ]; then started=$(date -d "$stamp" +%s.%N); fi
    result "unit $name $(unit "$name" LoadState) $(unit "$name" ActiveState) $(unit "$name" NRestarts)" \
        "$started $(commit_of "$name")"
    read -ra sources <<<"$(unit "$name" FragmentPath) $(unit "$name" DropInPaths)"
    files+=("${sources[@]}")
done
for file in "${files[@]}"; do
    if [ -e "$file" ]; then result "setting $(stat -c %.Y "$file") $file"; fi
done
