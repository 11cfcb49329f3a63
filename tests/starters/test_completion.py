"""Shell completion, asked for as a shell asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def complete(line: str) -> list[str]:
    """What a shell is offered at the end of a line."""
    words = line.split(" ")
    asked = {
        "_SCALEWAY_INFRA_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    command = [sys.executable, "-m", "starters"]
    done = subprocess.run(command, env=os.environ | asked, cwd=ROOT, capture_output=True, text=True, check=True)
    return [offer.split(",", 1)[1] for offer in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("scaleway-infra pl", ["plan"]),
        ("scaleway-infra plan ", ["prod", "stg"]),
        ("scaleway-infra plan p", ["prod"]),
        ("scaleway-infra plan --mark", ["--markdown"]),
    ],
)
def test_offers(line: str, expected: list[str]) -> None:
    """Commands, environments and options."""
    assert complete(line) == expected
