"""What happens by the clock."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from blueprint.environment.base import Section
from blueprint.environment.scalars import Matching, Seconds, wrong

_RANGES = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
_PART = re.compile(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?")
_DAY = 86_400.0
_CYCLE = 28 * 365 + 7
"""Days after which dates fall on the same weekdays again, leap years included."""


def _calendar() -> Iterator[date]:
    """A whole cycle of days."""
    first = date(2001, 1, 1)
    return (first + timedelta(days=number) for number in range(_CYCLE))


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


def _numbers(field: str, low: int, high: int) -> set[int]:
    """Every number that a field of a cron expression, found to be one, stands for."""
    numbers: set[int] = set()
    for part in field.split(","):
        found = _PART.fullmatch(part)
        assert found
        first, last, step = found.groups()
        end = last or (first if first and not step else high)
        numbers.update(range(int(first or low), int(end) + 1, int(step or 1)))
    return numbers


class Schedule(Section):
    """When something is done: `cron` or `every`."""

    cron: Annotated[str, AfterValidator(_cron)] | None = None
    """Minute, hour, day of the month, month, day of the week."""
    every: Annotated[Seconds, Field(ge=60)] | None = None
    """Instead of `cron`, the time from one start to the next."""
    time_zone: Annotated[str, Matching("[A-Za-z]+(/[A-Za-z0-9_+-]+)*", "a time zone's name, such as Europe/Paris")] = (
        "UTC"
    )
    """Time zone of `cron`. What is to start in the hour that it leaves out in spring does not start that night."""
    jitter: Seconds = 0.0
    """Up to how much later it may start, at random."""
    overlap: Literal["skip", "buffer_one", "buffer_all", "cancel_other", "terminate_other", "allow_all"] = "skip"
    """What becomes of a start while the one before still runs, in Temporal's words."""
    catch_up: Annotated[Seconds, Field(ge=10)] = 3600.0
    """How late a start that an outage prevented is still made up for."""

    @model_validator(mode="after")
    def _one_clock(self) -> Self:
        if (self.cron is None) == (self.every is None):
            found = "both are here" if self.cron else "neither is here"
            raise wrong(f"a schedule goes by one clock; cron or every fits, {found}")
        return self

    @property
    def longest_pause(self) -> float | None:
        """Seconds between two starts at most, jitter and the change of clocks aside; None if it never starts."""
        if self.cron is None:
            return self.every
        minutes, hours, days, months, weekdays = (
            _numbers(field, low, high) for field, (_, low, high) in zip(self.cron.split(), _RANGES, strict=True)
        )
        starts = sorted(hour * 3600.0 + minute * 60.0 for hour in hours for minute in minutes)
        # Unlike crond, Temporal wants the date and the weekday to be right, if both are given.
        on = [
            number
            for number, day in enumerate(_calendar())
            if day.month in months and day.day in days and weekdays & {day.isoweekday(), day.isoweekday() % 7}
        ]
        if not on:
            return None
        days_between = max(later - earlier for earlier, later in itertools.pairwise([*on, on[0] + _CYCLE]))
        over_night = days_between * _DAY + starts[0] - starts[-1]
        return max([over_night, *(later - earlier for earlier, later in itertools.pairwise(starts))])


class Schedules(Section):
    """Temporal Schedules that apply keeps.

    `health` is there if the file has a section `health`, and the last three if it has a section `backup`.
    """

    drift: Schedule | None = Schedule(cron="0 6 * * *", jitter=600.0)
    """The look for drift; `null` for none."""
    health: Schedule | None = Schedule(every=300.0, catch_up=60.0)
    """Checks from outside; `null` for none."""
    backup: Schedule | None = Schedule(cron="30 1 * * *", jitter=600.0)
    """Backups of everything; `null` for none."""
    drill: Schedule | None = Schedule(cron="30 3 * * 0", jitter=600.0)
    """The newest backup of each asset restored into a scratch place, and checked; `null` for none."""
    retention: Schedule | None = Schedule(cron="0 5 * * *", jitter=600.0)
    """The deletion of backups that no rule keeps; `null` for none."""
