# Ends a transfer, and leaves nothing of it.
#
# Parameters: base, name, run.

set -euo pipefail
trap '' PIPE HUP
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
install -d -m 0700 "$base"
exec 9>"$base/.$name.lock"
# What starts it may still be at work.
flock -w 60 9 || exit 75
systemctl stop "scaleway-infra-$name.$run.service" 2>/dev/null || true
rm -rf "${base:?}/$name.$run"
