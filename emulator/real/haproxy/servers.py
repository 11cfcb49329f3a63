"""What HAProxy knows of each server, as `show servers state` tells it: for the API, and for the next worker.

The numbers are HAProxy's own, and Scaleway's words are theirs: srv_op_state and srv_check_result of its management
guide are server_state and last_health_check_status of the API.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from emulator.real.haproxy.documents import Documents

STATES = ("stopped", "starting", "running", "stopping")
CHECKS = ("unknown", "neutral", "failed", "passed", "condpass")


@dataclass(frozen=True)
class Health:
    """How a server is."""

    state: str
    """One of `STATES`."""
    check: str
    """One of `CHECKS`; unknown also while a check is under way."""


def healths(table: str) -> dict[tuple[str, str], Health]:
    """Each server's health, by backend and address."""
    return {
        (row["be_name"], row["srv_name"]): Health(
            STATES[int(row["srv_op_state"])], CHECKS[int(row["srv_check_result"])]
        )
        for row in _rows(table)
    }


def handed_over(table: str, documents: Documents) -> str:
    """The table for the next worker: what was found out stays, what is configured is as configured now.

    HAProxy would take the ports from the table rather than from the configuration.
    """
    known = {(row["be_name"], row["srv_name"]): row for row in _rows(table)}
    rows = []
    for backend, address in documents.servers():
        if row := known.get((backend["id"], address)):
            configured = {
                "srv_port": str(backend["forward_port"]),
                "srv_check_port": str(backend["health_check"]["port"]),
                "srv_use_ssl": str(int(backend["ssl_bridging"])),
            }
            rows.append(" ".join({**row, **configured}.values()))
    header = [line for line in table.splitlines() if line.strip()][:2]
    return "\n".join([*header, *rows, ""])


def _rows(table: str) -> Iterator[dict[str, str]]:
    columns: list[str] = []
    for line in table.splitlines():
        if line.startswith("#"):
            columns = line.removeprefix("#").split()
        elif columns and (fields := line.split()):
            yield dict(zip(columns, fields, strict=True))
