# Statements for a database, each by itself: what one answers, or why it does not, tells nothing of the others. A line
# "<index> <exit code> <answer in base64>" for each.
#
# Parameters: statements.

errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
for index in "${!statements[@]}"; do
    # Never a command to psql itself: those begin with a backslash, and this with a space.
    # What is said on standard error beside an answer, a notice, is no part of it.
    answer=$(psql --no-psqlrc -qAtX -c " ${statements[index]}" 2>"$errors")
    status=$?
    [ "$status" = 0 ] || answer=$(<"$errors")
    printf '%s %s %s\n' "$index" "$status" "$(base64 -w 0 <<<"$answer")"
done
