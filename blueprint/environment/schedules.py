"""What happens by the clock."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from blueprint.environment.base import Section
from blueprint.environment.scalars import Matching, Seconds, wrong

_RANGES = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
_PART = re.compile(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?")


def _cron(value: str) -> str:
    fields = value.split()
    if len(fields) != len(_RANGES):
        raise wrong(
            f"{value!r} is not five fields; minute, hour, day of the month, month and day of the week, "
            "such as '0 6 * * *', fit"
        )
    for field, (name, low, high) in zip(fields, _RANGES, strict=True):
        for part in field.split(","):
            found = _PART.fullmatch(part)
            bounds = [int(number) for number in found.groups()[:2] if number] if found else []
            if not found or not all(low <= number <= high for number in bounds) or bounds != sorted(bounds):
                raise wrong(f"{value!r}: {part!r} is no {name}; {low} to {high}, * or a step such as */5 fits")
    return value


class Schedule(Section):
    """When something is done."""

    cron: Annotated[str, AfterValidator(_cron)]
    """Minute, hour, day of the month, month, day of the week."""
    time_zone: Annotated[str, Matching("[A-Za-z]+(/[A-Za-z0-9_+-]+)*", "a time zone's name, such as Europe/Paris")] = (
        "UTC"
    )
    """Time zone of `cron`."""
    jitter: Seconds = 0.0
    """Up to how much later it may start, at random."""


class Schedules(Section):
    """Temporal Schedules that apply keeps."""

    drift: Schedule | None = Schedule(cron="0 6 * * *", jitter=600.0)
    """The look for drift; `null` for none."""
