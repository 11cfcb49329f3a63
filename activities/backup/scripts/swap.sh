# A restored database takes the place of the live one. Whatever becomes of that, what is closed is opened again in the
# end: nobody else may be left to do it.
#
# Parameters: closing, users (those who end their own sessions), passwords, restored (where they can log in), ending,
# window, opening.

status=0
since=$(ask -f - <<<"$closing") || status=$?
if [ "$status" = 0 ]; then
    for index in "${!users[@]}"; do
        PGUSER=${users[index]} PGPASSWORD=${passwords[index]} PGDATABASE=$restored ask -f - <<<"$ending" >&2 || true
    done
    ask -v since="$since" -f - <<<"$window" || status=$?
fi
for _ in {1..20}; do
    if ask -f - <<<"$opening"; then break; fi
    # The server may be on its way up again.
    sleep 1
done
exit "$status"
