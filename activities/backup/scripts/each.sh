# Statements for a database, each by itself: what one answers, or why it does not, tells nothing of the others. A line
# "<index> <exit code> <answer in base64>" for each.
#
# Parameters: statements.

for index in "${!statements[@]}"; do
    # Never a command to psql itself: those begin with a backslash, and this with a space.
    answer=$(psql --no-psqlrc -qAtX -c " ${statements[index]}" 2>&1)
    printf '%s %s %s\n' "$index" "$?" "$(base64 -w 0 <<<"$answer")"
done
