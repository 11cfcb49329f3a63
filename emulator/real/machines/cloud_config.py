"""What a server's user data asks of its first boot. Pure.

Debian's own cloud-init would cost each boot some seconds; what deployments commonly ask of it is understood here, and
the rest is told in its log.
"""

from __future__ import annotations

import base64
import gzip
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml

Made = TypeVar("Made")
UNDERSTOOD = {"hostname", "ssh_authorized_keys", "users", "write_files", "packages", "runcmd"}
WITHOUT_EFFECT = {"preserve_hostname", "manage_etc_hosts", "package_update", "package_upgrade", "disable_root"}
"""Host names are kept, hosts are known, packages are looked up when one is missing, and root may log in, always."""


@dataclass(frozen=True)
class User:
    """A user to make, with cloud-init's names. It has no password.

    Attributes:
        groups: supplementary groups, made if they are missing.
        group: primary group; empty makes one of the user's name.
        shell: login shell.
        home: home folder; empty is Debian's choice.
        create_home: make the home folder.
        system: with a low id.
        uid: its id; None takes the next one.
        gecos: its full name.
        sudo: rules for sudoers.
        keys: public keys that may log in.
    """

    name: str
    groups: tuple[str, ...] = ()
    group: str = ""
    shell: str = "/bin/bash"
    home: str = ""
    create_home: bool = True
    system: bool = False
    uid: int | None = None
    gecos: str = ""
    sudo: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class WrittenFile:
    """A file to write.

    Attributes:
        permissions: octal.
        owner: user and group.
        append: keep what is there.
        defer: write it after users and packages are there.
    """

    path: str
    content: bytes
    permissions: str = "0644"
    owner: str = "root:root"
    append: bool = False
    defer: bool = False


@dataclass(frozen=True)
class FirstBoot:
    """Everything that a first boot does.

    Attributes:
        hostname: empty keeps the server's own.
        keys: public keys of root, besides the project's.
        packages: Debian packages.
        commands: shell lines, run in order once the machine is up.
        script: a program in the place of all these.
        ignored: names that are not understood here.
        problems: what is wrong with the document. The rest of it is done all the same.
    """

    hostname: str = ""
    keys: tuple[str, ...] = ()
    users: tuple[User, ...] = ()
    files: tuple[WrittenFile, ...] = ()
    packages: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    script: str = ""
    ignored: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def first_boot(user_data: bytes) -> FirstBoot:
    """The first boot of a server with this user data: a cloud-config document, or a script."""
    text = user_data.decode(errors="replace")
    if text.startswith("#!"):
        return FirstBoot(script=text)
    if not text.strip():
        return FirstBoot()
    if not text.startswith("#cloud-config"):
        return FirstBoot(problems=("the user data begins neither with #cloud-config nor with #!",))
    try:
        document = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        return FirstBoot(problems=(f"the cloud-config document cannot be read: {error}",))
    if not isinstance(document, Mapping):
        return FirstBoot(problems=("the cloud-config document is not a mapping",))
    return _Reading(document).first_boot()


class _Reading:
    """A document that is being read: an entry that makes no sense is noted, and does not spoil the others."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._problems: list[str] = []

    def first_boot(self) -> FirstBoot:
        users = self._each("users", _user)
        return FirstBoot(
            hostname=str(self._document.get("hostname") or ""),
            keys=self._each("ssh_authorized_keys", str),
            # The default user is root in Scaleway's images.
            users=tuple(user for user in users if user.name != "default"),
            files=self._each("write_files", _file),
            packages=self._each("packages", _package),
            commands=self._each("runcmd", _command),
            ignored=tuple(sorted(map(str, self._document.keys() - UNDERSTOOD - WITHOUT_EFFECT))),
            problems=tuple(self._problems),
        )

    def _each(self, name: str, make: Callable[[Any], Made]) -> tuple[Made, ...]:
        return tuple(self._made(name, make, self._document.get(name) or ()))

    def _made(self, name: str, make: Callable[[Any], Made], entries: Any) -> Iterator[Made]:
        if not isinstance(entries, list | tuple):
            self._problems.append(f"{name} is not a list")
            return
        for number, entry in enumerate(entries):
            try:
                yield make(entry)
            except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
                self._problems.append(f"{name}[{number}] makes no sense: {type(error).__name__}: {error}")


def _user(entry: Any) -> User:
    if isinstance(entry, str):
        return User(entry)
    return User(
        name=str(entry["name"]),
        groups=_listed(entry.get("groups")),
        group=str(entry.get("primary_group") or ""),
        shell=str(entry.get("shell") or "/bin/bash"),
        home=str(entry.get("homedir") or ""),
        create_home=not (entry.get("no_create_home") or entry.get("system")),
        system=bool(entry.get("system")),
        uid=None if entry.get("uid") is None else int(entry["uid"]),
        gecos=str(entry.get("gecos") or ""),
        sudo=_lines(entry.get("sudo")),
        keys=_lines(entry.get("ssh_authorized_keys")),
    )


def _lines(value: Any) -> tuple[str, ...]:
    """One line, or several."""
    return (value,) if isinstance(value, str) else tuple(str(line) for line in value or ())


def _listed(value: Any) -> tuple[str, ...]:
    """A list, or its parts between commas."""
    parts: Iterable[Any] = value.split(",") if isinstance(value, str) else value or ()
    return tuple(str(part).strip() for part in parts)


def _file(entry: Any) -> WrittenFile:
    permissions = entry.get("permissions") or "0644"
    return WrittenFile(
        path=str(entry["path"]),
        content=_decoded(entry.get("content") or "", str(entry.get("encoding") or "").lower()),
        # Without quotes YAML itself reads 0644 as octal.
        permissions=f"{permissions:04o}" if isinstance(permissions, int) else str(permissions),
        owner=str(entry.get("owner") or "root:root"),
        append=bool(entry.get("append")),
        defer=bool(entry.get("defer")),
    )


def _decoded(content: str | bytes, encoding: str) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    if encoding.endswith(("b64", "base64")):
        raw = base64.b64decode(b"".join(raw.split()), validate=True)
    return gzip.decompress(raw) if encoding.startswith(("gz", "gzip")) else raw


def _package(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    name, version = entry
    return f"{name}={version}"


def _command(entry: Any) -> str:
    return entry if isinstance(entry, str) else shlex.join(str(word) for word in entry)
