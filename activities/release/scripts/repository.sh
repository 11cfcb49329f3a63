# The bare mirror of the application's repository.
#
# Parameters: repository.

mirror=$directory/repository.git
export GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND="ssh -o BatchMode=yes -o ConnectTimeout=10"

# Git tidies up before it returns, while the lock is held: not in the background.
git=(git --git-dir="$mirror" -c gc.autoDetach=false)
mirrored() { as_owner "${git[@]}" "$@"; }

# Bring the mirror up to date.
fetch() {
    if [ ! -d "$directory" ]; then install -d -m 0755 -o "$user" -g "$(id -gn "$user")" "$directory"; fi
    if [ ! -d "$mirror" ]; then
        rm -rf "$mirror.new"
        as_owner git init --quiet --bare "$mirror.new"
        mv -T "$mirror.new" "$mirror"
    fi
    mirrored_from '+refs/heads/*:refs/heads/*' '+refs/tags/*:refs/tags/*' ||
        fail 69 "the repository $repository cannot be fetched"
}

# REFSPEC...: a fetch that hangs is ended: whoever is next needs the lock.
mirrored_from() {
    as_owner timeout 300 "${git[@]}" fetch --quiet --prune --force "$repository" "$@"
}

has() { mirrored cat-file -e "$1^{commit}" 2>/dev/null; }
