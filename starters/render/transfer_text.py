"""Bytes, rates and times for people."""

from __future__ import annotations

from rich.text import Text

from blueprint.backup.contract import TransferProgress

_UNITS = ("B", "kB", "MB", "GB", "TB")
_PER_UNIT = 1000
_TIMES = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


def size(count: float) -> str:
    """Bytes, with as many digits as one reads: 3.2 GB."""
    unit = 0
    while count >= _PER_UNIT and unit < len(_UNITS) - 1:
        count, unit = count / _PER_UNIT, unit + 1
    return f"{count:.0f} {_UNITS[unit]}" if unit == 0 else f"{count:.1f} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """A time, in the largest unit that it has more than one of: 3.5 h."""
    for length, unit in _TIMES:
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def transfer_text(transfer: TransferProgress) -> Text:
    """One transfer: what, how much of how much, how fast, how long still."""
    told = size(transfer.done) + (f" of {size(transfer.total)}" if transfer.total else "")
    if transfer.rate:
        told += f", {size(transfer.rate)}/s"
    if transfer.left is not None:
        told += f", {duration(transfer.left)} left"
    return Text(f"      {transfer.what}: ", style="dim").append(told)
