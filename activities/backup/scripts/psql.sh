# Statements for a database, in one psql.
#
# Parameters: sql.

ask -f - <<<"$sql"
