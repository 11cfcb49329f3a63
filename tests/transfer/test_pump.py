"""What a pump between two programs takes for trouble."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from transfer.ledger import Account
from transfer.pump import Pump
from transfer.run import Run


@pytest.mark.parametrize(
    ("source", "target", "trouble"),
    [
        ("printf abc", "cat", ""),
        ("printf abc", "head -c 3", ""),
        ("printf abc; sleep 0.3", "head -c 3", ""),
        ("printf abc; sleep 0.3; printf d", "head -c 3", "sh reads no more"),
        ("printf abc; exit 3", "cat", "sh ended badly"),
    ],
)
def test_who_has_read_all_may_be_gone(source: str, target: str, trouble: str, tmp_path: Path) -> None:
    """Long before the first one ends; but not before all has been moved."""
    run, account = Run(tmp_path), Account("data-001", (), 0)
    first = run.spawn("sh", "-c", source, stdout=subprocess.PIPE)
    second = run.spawn("sh", "-c", f"exec {target}", stdin=subprocess.PIPE)
    pump = Pump(run, first, second, account)
    pump.start()
    pump.join()
    assert pump.trouble == trouble
    assert account.raw_bytes == 3
    second.end()
