# Statements for a database, all of them in one transaction or none. It tells the index of each before it runs.
#
# Parameters: statements.

commands=()
# Never a command to psql itself: those begin with a backslash, and these with a space.
for index in "${!statements[@]}"; do commands+=(-c "\\echo $index" -c " ${statements[index]}"); done
ask -o /dev/null --single-transaction "${commands[@]}"
