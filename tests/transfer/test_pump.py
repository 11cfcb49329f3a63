"""What a pump between two programs takes for trouble."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from transfer.ledger import Account
from transfer.pump import Pump
from transfer.run import Run

AWAITED = "until test -e {gone}; do sleep 0.01; done"
GOES = "head -c 3; exec <&-; touch {gone}"
"""Closes its end first: what comes once it is gone finds nobody."""


@pytest.mark.parametrize(
    ("source", "target", "trouble"),
    [
        ("printf abc", "exec cat", ""),
        ("printf abc", "exec head -c 3", ""),
        (f"printf abc; {AWAITED}", GOES, ""),
        (f"printf abc; {AWAITED}; printf d", GOES, "sh reads no more"),
        ("printf abc; exit 3", "exec cat", "sh ended badly"),
    ],
)
def test_who_has_read_all_may_be_gone(source: str, target: str, trouble: str, tmp_path: Path) -> None:
    """Long before the first one ends; but not before all has been moved."""
    run, account, gone = Run(tmp_path), Account("data-001", (), 0), tmp_path / "gone"
    first = run.spawn("sh", "-c", source.format(gone=gone), stdout=subprocess.PIPE)
    second = run.spawn("sh", "-c", target.format(gone=gone), stdin=subprocess.PIPE)
    pump = Pump(run, first, second, account)
    pump.start()
    pump.join()
    assert pump.trouble == trouble
    assert account.raw_bytes == 3
    second.end()
