# What is noted about a release.
#
# Parameters: commit, mark, reason, at.

lock build
case $mark in
    bad) put "$state/$commit.bad" <<<"$reason" ;;
    irreversible) put "$state/$commit.irreversible" <<<"$reason" ;;
    released)
        put "$state/$commit.released" <<<"$at"
        rm -f "$state/$commit.bad"
        ;;
esac
