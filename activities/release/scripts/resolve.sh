# What a ref leads to, and how it stands to what runs.
#
# Parameters: ref, released.

lock build
fetch

commit=
for name in "refs/heads/$ref" "refs/tags/$ref"; do
    commit=$(mirrored rev-parse --verify --quiet "$name^{commit}") && break
done
if [ -z "$commit" ] && [[ $ref =~ ^[0-9a-f]{4,40}$ ]]; then
    # A commit that no branch has any more is fetched by its full name.
    if [ ${#ref} = 40 ] && ! has "$ref"; then mirrored_from "$ref" 2>/dev/null || true; fi
    commit=$(mirrored rev-parse --verify --quiet "$ref^{commit}") || true
fi
[ -n "$commit" ] || fail 65 "$repository has no branch, tag or commit $ref"

if [ -z "$released" ]; then
    relation=first
elif [ "$released" = "$commit" ]; then
    relation=same
elif ! has "$released"; then
    relation=unrelated
elif mirrored merge-base --is-ancestor "$released" "$commit"; then
    relation=newer
elif mirrored merge-base --is-ancestor "$commit" "$released"; then
    relation=older
else
    relation=unrelated
fi
result "commit $commit"
result "relation $relation"
result "subject $(mirrored log -1 --format=%s "$commit")"
