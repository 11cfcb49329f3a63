# Tells what there is of what the last setup declared: a line each, fields apart by tabs. Changes nothing.
# Without a setup it says nothing.

look() {
    local folder=${folder:-/var/lib/scaleway-infra/setup} kind name entry home shell groups
    [ -f "$folder/record.json" ] && [ -f "$folder/declared" ] || return 0
    tell hostname "$(settled_hostname)"
    while IFS=$'\t' read -r kind name; do
        case $kind in
        user)
            entry=$(getent passwd "$name") || continue
            IFS=: read -r _ _ _ _ _ home shell <<<"$entry"
            groups=$(further_groups "$name")
            tell user "$name" "$home" "$shell" "$groups"
            ;;
        package)
            [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" != installed ] || tell package "$name"
            ;;
        directory) [ ! -d "$name" ] || tell directory "$name" "$(mode "$name")" "$(owner "$name")" ;;
        file | env)
            [ ! -f "$name" ] || tell "$kind" "$name" "$(mode "$name")" "$(owner "$name")" "$(checksum "$name")"
            ;;
        unit) tell unit "$name" "$(systemctl is-enabled "$name.service" 2>/dev/null)" ;;
        esac
    done <"$folder/declared"
    tell record "$(<"$folder/record.json")"
}

tell() {
    local IFS=$'\t'
    printf '%s\n' "$*"
}

# The name that holds now and after the next boot; both, where they differ.
settled_hostname() {
    local kept
    kept=$(cat /etc/hostname 2>/dev/null) || true
    if [ "$kept" = "$(uname -n)" ]; then printf '%s' "$kept"; else printf '%s, %s after a boot' "$(uname -n)" "$kept"; fi
}

# Groups besides the user's own, sorted, commas between.
further_groups() {
    id -nG -- "$1" | tr ' ' '\n' | grep -vxF -- "$(id -ng -- "$1")" | sort | paste -sd, -
}

mode() { printf '%04o' "0$(stat -c %a -- "$1")"; }
owner() { stat -c %U:%G -- "$1"; }
checksum() { sha256sum -- "$1" | cut -d ' ' -f 1; }

look </dev/null
