# A release's folder, installed and warmed up.
#
# Parameters: commit, install, warm_up, limit.

lock build
release=$releases/$commit

if [ -e "$release/REVISION" ] && [ -e "$state/$commit.prepared" ]; then
    echo "$commit is prepared already"
    exit
fi
if ! has "$commit"; then fetch; fi
if ! has "$commit"; then mirrored_from "$commit" || fail 65 "$repository has no commit $commit"; fi

# Whoever builds may leave a folder half done. What runs now is left as it is, even if it was never finished.
if [ "$(current)" != "$commit" ]; then
    rm -f "$state/$commit.prepared"
    rm -rf "$release" "$release.new"
    as_owner mkdir -p "$release.new"
    mirrored archive --format=tar "$commit" | as_owner tar -x -C "$release.new"
    as_owner tee "$release.new/REVISION" <<<"$commit" >/dev/null
    mv -T "$release.new" "$release"
fi

cd "$release"
for command in "$install" "$warm_up"; do
    if [ -n "$command" ]; then
        echo "+ $command"
        as_owner timeout --kill-after=10 "$limit" bash -c "$command" </dev/null
    fi
done
date +%s | put "$state/$commit.prepared"
