# How a transfer is, after a sign of life to it and new addresses. Files are JSON of one line each.
#
# Standard input: what goes into `urls`, or nothing.
#
# Parameters: base, name, run.

set -euo pipefail
umask 077
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
folder=$base/$name.$run

install -d -m 0700 "$base"
exec 9>"$base/.$name.lock"
flock -s -w 60 9 || exit 75
if [ ! -e "$folder/token" ]; then exit; fi
touch "$folder/driver"
urls=$(cat)
if [ -n "$urls" ]; then
    beside=$folder/.urls.$BASHPID
    printf '%s' "$urls" >"$beside"
    # A run that has ended has no place for them any more.
    mv -f "$beside" "$folder/urls/$EPOCHREALTIME.$BASHPID.json" 2>/dev/null || rm -f "$beside"
fi
# First the unit, then what it wrote: one that has ended has written all.
printf 'state %s\n' "$(systemctl show -P ActiveState "scaleway-infra-$name.$run.service")"
printf 'token %s\n' "$(<"$folder/token")"
for file in wants progress result; do
    if [ -s "$folder/$file.json" ]; then printf '%s %s\n' "$file" "$(<"$folder/$file.json")"; fi
done
