"""The configuration of a server: what is fixed here, and the settings that the API shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping

FIXED = {
    # A rehearsal's data need not survive a power cut; a killed process loses nothing.
    "fsync": "off",
    "full_page_writes": "off",
    "password_encryption": "scram-sha-256",
    "shared_buffers": "32MB",
    "ssl": "on",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
NEEDS_START = "postmaster"
"""PostgreSQL's own word for the context of a setting that is read once."""

Settings = dict[str, str]


def contexts(described: str) -> dict[str, str]:
    """When each setting that PostgreSQL knows is read.

    Args:
        described: what `postgres --describe-config` writes.
    """
    return {name.lower(): context for name, context, *_ in (line.split("\t") for line in described.splitlines())}


def known(settings: Mapping[str, str], units: Mapping[str, str], knows: Mapping[str, str]) -> Settings:
    """The settings of an instance that this PostgreSQL has; those of extensions and of newer versions are left out.

    Args:
        settings: as the API shows them.
        units: of those whose values are numbers of something; PostgreSQL would take them for another unit.
        knows: as `contexts` says.
    """
    return {name: f"{value}{units.get(name, '')}" for name, value in settings.items() if name.lower() in knows}


def needs_start(before: Settings, after: Settings, knows: Mapping[str, str]) -> bool:
    """Whether a running server must be started anew to take the change."""
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return any(knows.get(name, NEEDS_START) == NEEDS_START for name in changed)


def written(settings: Settings) -> str:
    """The text of postgresql.conf."""
    return "".join(f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in sorted(settings.items()))


def access() -> str:
    """The text of pg_hba.conf: the emulator by its socket, everybody else with a password."""
    return (
        "local all,replication postgres peer map=emulator\n"
        "host all postgres all reject\n"
        "host all all all scram-sha-256\n"
    )


def superusers(emulator: str) -> str:
    """The text of pg_ident.conf: who is the superuser at the socket.

    Args:
        emulator: the system user that the emulator runs as.
    """
    return "".join(f"emulator {user} postgres\n" for user in sorted({emulator, "postgres"}))
