"""What a cloud-init document asks of a first boot. Pure: Debian's own cloud-init would cost each boot some seconds."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True)
class User:
    """A user to make, with cloud-init's names.

    Attributes:
        groups: supplementary groups.
        shell: login shell.
        system: without a home folder, with a low id.
        sudo: rules for sudoers.
        keys: public keys that may log in.
    """

    name: str
    groups: tuple[str, ...] = ()
    shell: str = "/bin/bash"
    system: bool = False
    sudo: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class WrittenFile:
    """A file to write."""

    path: str
    content: bytes
    permissions: str = "0644"
    owner: str = "root:root"
    append: bool = False


@dataclass(frozen=True)
class FirstBoot:
    """Everything that a first boot does.

    Attributes:
        hostname: empty keeps the server's own.
        keys: public keys of root, besides the project's.
        packages: Debian packages.
        commands: shell lines, run in order once the machine is up.
    """

    hostname: str = ""
    keys: tuple[str, ...] = ()
    users: tuple[User, ...] = ()
    files: tuple[WrittenFile, ...] = ()
    packages: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


def first_boot(user_data: bytes) -> FirstBoot:
    """The first boot of a server with this user data; what is neither cloud-config nor a script does nothing.

    Raises:
        ValueError: a cloud-config document that is not one.
    """
    text = user_data.decode(errors="replace")
    if text.startswith("#!"):
        return FirstBoot(commands=(f"bash -c {shlex.quote(text)}",))
    if not text.startswith("#cloud-config"):
        return FirstBoot()
    try:
        document = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"cloud-config that cannot be read: {error}") from error
    if not isinstance(document, Mapping):
        raise ValueError("cloud-config has to be a mapping")
    return FirstBoot(
        hostname=str(document.get("hostname") or ""),
        keys=tuple(document.get("ssh_authorized_keys") or ()),
        users=tuple(_user(entry) for entry in document.get("users") or () if entry != "default"),
        files=tuple(_file(entry) for entry in document.get("write_files") or ()),
        packages=tuple(str(entry) for entry in document.get("packages") or ()),
        commands=tuple(_command(entry) for entry in document.get("runcmd") or ()),
    )


def _user(entry: Any) -> User:
    if isinstance(entry, str):
        return User(entry)
    return User(
        name=str(entry["name"]),
        groups=_listed(entry.get("groups")),
        shell=str(entry.get("shell") or "/bin/bash"),
        system=bool(entry.get("system")),
        sudo=_listed(entry.get("sudo"), whole=True),
        keys=_listed(entry.get("ssh_authorized_keys"), whole=True),
    )


def _listed(value: Any, *, whole: bool = False) -> tuple[str, ...]:
    """A list, or a string that stands for one: its parts between commas, or the whole of it."""
    if not value or value is True:
        return ()
    if isinstance(value, str):
        return (value,) if whole else tuple(part.strip() for part in value.split(","))
    return tuple(str(part) for part in value)


def _file(entry: Mapping[str, Any]) -> WrittenFile:
    content = entry.get("content") or ""
    raw = content.encode() if isinstance(content, str) else bytes(content)
    if str(entry.get("encoding") or "").lower() in ("b64", "base64"):
        raw = base64.b64decode(raw)
    return WrittenFile(
        path=str(entry["path"]),
        content=raw,
        permissions=str(entry.get("permissions") or "0644"),
        owner=str(entry.get("owner") or "root:root"),
        append=bool(entry.get("append")),
    )


def _command(entry: Any) -> str:
    return entry if isinstance(entry, str) else shlex.join(str(word) for word in entry)
