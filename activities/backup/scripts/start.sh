# Starts a transfer as a unit of its own, which the connection, this script and its worker may leave.
#
# Standard input: the job, then the program. Both are checked: a connection that broke on the way starts nothing.
#
# Parameters: base, name, run, token, verb, job_size, job_digest, digest, properties.

set -euo pipefail
umask 077
trap '' PIPE HUP
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8

folder=$base/$name.$run
program=$base/$digest.pyz
install -d -m 0700 "$base"
exec 9>"$base/.$name.lock"
flock -w 60 9 || exit 75

# Of earlier runs, and of an earlier attempt: nobody waits for them any more, and two at once would be in each other's way.
systemctl list-units --all --plain --no-legend "scaleway-infra-$name.*.service" | while read -r unit _; do
    systemctl stop "$unit" || true
done
rm -rf "$base/$name".*

install -d -m 0700 "$folder/urls"
head -c "$job_size" >"$folder/job.json"
[ "$(sha256sum <"$folder/job.json")" = "$job_digest  -" ] || exit 74
cat >"$program.new"
[ "$(sha256sum <"$program.new")" = "$digest  -" ] || exit 74
mv -f "$program.new" "$program"
printf '%s' "$token" >"$folder/token"
: >"$folder/driver"
options=()
for property in "${properties[@]}"; do options+=(--property="$property"); done
# However it ends, also if it is killed and nobody comes back: no secret and no row of the database stays.
kept=("$folder/"{job.json,identity,.identity.new,schema.dump,urls})
options+=(--property="ExecStopPost=/bin/rm -rf ${kept[*]}")
systemd-run --quiet --collect --service-type=exec --unit="scaleway-infra-$name.$run" "${options[@]}" \
    python3 "$program" "$verb" "$folder" 9>&- >&2
