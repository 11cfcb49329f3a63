# What a release would change in the database, in its own words.

file=$state/pending
command_file "$file"
systemd-run --pipe --wait "${unit_options[@]}" /bin/bash "$file" </dev/null | hidden >&3
