# Old releases go. What runs, what a unit still works in, and the two that were released last stay in any case.
#
# Parameters: commit, keep.

lock build
rm -rf "$releases"/.gone-* "$releases"/*.new

stays=" $commit $(current) "
for name in "${units[@]}"; do stays+="$(commit_of "$name") "; done
number=0
while read -r _ name; do
    if [ -d "$releases/$name" ] && ((number++ < 2)); then stays+="$name "; fi
done < <(cd "$state" && grep -H . -- *.released 2>/dev/null | sed -E 's/^([0-9a-f]{40})\.released:(.*)$/\2 \1/' | sort -rn)

number=0
while read -r file; do
    name=$(basename "$(dirname "$file")")
    if ((number++ < keep)) || [[ $stays = *" $name "* ]]; then continue; fi
    echo "removes $name"
    rm -f "$state/$name.prepared" "$state/$name.released"
    mv -T "$releases/$name" "$releases/.gone-$name"
done < <(ls -1t "$releases"/*/REVISION 2>/dev/null)
rm -rf "$releases"/.gone-*
