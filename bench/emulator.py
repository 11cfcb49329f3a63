"""The local Scaleway's own interface, for what a measurement asks of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import requests

Document = dict[str, Any]
_TIMEOUT = 30.0


class Emulator:
    """The `/_emulator/` operations of one running emulator.

    Args:
        url: of its Scaleway API.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def requests(self, last: int = 0) -> Document:
        """Counts of requests since they were last forgotten, and the `last` ones, oldest first."""
        return self._ask("GET", f"requests?last={last}")

    def forget_requests(self) -> None:
        """Count from zero."""
        self._ask("DELETE", "requests")

    def set_faults(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Put a set of faults in place of the one before."""
        self._ask("PUT", "faults", {"faults": list(faults)})

    def faults(self) -> list[Document]:
        """The set in force, each with how often it has struck."""
        found: list[Document] = self._ask("GET", "faults")["faults"]
        return found

    def snapshot(self) -> Document:
        """Everything that exists, for `restore`."""
        return self._ask("GET", "snapshot")

    def restore(self, snapshot: Document) -> None:
        """Become what a snapshot says."""
        self._ask("PUT", "snapshot", snapshot)

    def left(self) -> list[str]:
        """What exists besides what an empty project has: "<kind> <name>"."""
        kinds = self._ask("GET", "resources")
        return sorted(
            f"{kind} {item['name'] or item['id']}" for kind, found in kinds.items() for item in found["items"]
        )

    def set_latency(self, factor: float) -> None:
        """Factor on Scaleway's real delays from now on."""
        self._ask("PUT", "latency", {"factor": factor})

    def _ask(self, method: str, what: str, body: Document | None = None) -> Document:
        response = self._session.request(method, f"{self.url}/_emulator/{what}", json=body, timeout=_TIMEOUT)
        response.raise_for_status()
        return response.json() if response.content else {}


def by_product(operations: Mapping[str, int]) -> Counter[str]:
    """Requests by product: "vpc", "lb", "s3", "sqs", ..."""
    counted: Counter[str] = Counter()
    for operation, count in operations.items():
        plane, _, rest = operation.partition(" ")
        counted[plane.lower() if not rest.startswith("/") else rest.split("/")[1]] += count
    return counted
