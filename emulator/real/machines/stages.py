"""The two shell scripts of a first boot: before anybody can log in, and once the machine is up. Pure.

They run inside the machine: a path in a document means the machine's own, whatever links lead there.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterator

from emulator.real.machines.cloud_config import FirstBoot, User, WrittenFile

_HEAD = """\
#!/bin/bash
# Each step is tried whatever became of those before; the script fails if any of them did.
outcome=0
try() { "$@" || { outcome=1; printf 'cloud-init: failed: %s\\n' "$*" >&2; }; }
note() { printf 'cloud-init: %s\\n' "$*"; }

# PATH MODE OWNER: standard input is the content, in base64.
put() { mkdir -p "$(dirname "$1")" && base64 -d >"$1" && chmod "$2" "$1" && chown "$3" "$1"; }
append() { mkdir -p "$(dirname "$1")" && base64 -d >>"$1" && chmod "$2" "$1" && chown "$3" "$1"; }

user() { id "$1" >/dev/null 2>&1 || useradd "${@:2}" -- "$1"; }

# NAME: standard input are the keys.
authorize() {
  local folder
  folder=$(getent passwd "$1" | cut -d: -f6)/.ssh &&
    install -d -m 0700 -o "$1" -g "$(id -gn "$1")" "$folder" &&
    install -m 0600 -o "$1" -g "$(id -gn "$1")" /dev/stdin "$folder/authorized_keys"
}

install_packages() {
  local name missing=()
  for name; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "${name%%=*}" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} = 0 ] && return
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}"
}
"""
_TAIL = "exit $outcome\n"
_SCRIPTS = "/var/lib/cloud/instance/scripts"


def before_login(boot: FirstBoot) -> str:
    """Files, users and their keys; and what the document says that cannot be done."""
    return "".join([_HEAD, *(f"{line}\n" for line in _before_login(boot)), _TAIL])


def _before_login(boot: FirstBoot) -> Iterator[str]:
    for problem in boot.problems:
        yield f"try false {shlex.quote(problem)}"
    if boot.ignored:
        yield shlex.join(["note", "not understood here:", *boot.ignored])
    yield from (_put(file) for file in boot.files if not file.defer)
    for user in boot.users:
        yield from _user(user)


def once_up(boot: FirstBoot) -> str:
    """Packages, files that had to wait for them, and commands."""
    return "".join([_HEAD, *(f"{line}\n" for line in _once_up(boot)), _TAIL])


def _once_up(boot: FirstBoot) -> Iterator[str]:
    if boot.packages:
        yield shlex.join(["try", "install_packages", *boot.packages])
    yield from (_put(file) for file in boot.files if file.defer)
    if boot.commands:
        yield from _program(f"{_SCRIPTS}/runcmd", "\n".join(["#!/bin/sh", *boot.commands, ""]))
    if boot.script:
        yield from _program(f"{_SCRIPTS}/part-001", boot.script)


def _program(path: str, text: str) -> Iterator[str]:
    yield _put(WrittenFile(path, text.encode(), "0700"))
    # Standard input would be the rest of this script.
    yield f"try {path} </dev/null"


def _put(file: WrittenFile) -> str:
    words = ["try", "append" if file.append else "put", file.path, file.permissions, file.owner]
    return _fed(words, base64.encodebytes(file.content).decode())


def _fed(words: list[str], text: str) -> str:
    """A command with these lines as its standard input."""
    return f"{shlex.join(words)} <<'END'\n{text}END"


def _user(user: User) -> Iterator[str]:
    for group in (*user.groups, *filter(None, [user.group])):
        yield shlex.join(["try", "groupadd", "--force", group])
    yield shlex.join(["try", "user", user.name, *_options(user)])
    if user.sudo:
        rules = "".join(f"{user.name} {rule}\n" for rule in user.sudo).encode()
        sudoers = WrittenFile("/etc/sudoers.d/90-cloud-init-users", rules, "0440", append=True)
        yield _put(sudoers)
    if user.keys:
        yield _fed(["try", "authorize", user.name], "".join(f"{key}\n" for key in user.keys))


def _options(user: User) -> Iterator[str]:
    yield "--create-home" if user.create_home else "--no-create-home"
    yield from ("--shell", user.shell)
    yield from ("--gid", user.group) if user.group else ("--user-group",)
    if user.system:
        yield "--system"
    if user.home:
        yield from ("--home-dir", user.home)
    if user.uid is not None:
        yield from ("--uid", str(user.uid))
    if user.gecos:
        yield from ("--comment", user.gecos)
    if user.groups:
        yield from ("--groups", ",".join(user.groups))
