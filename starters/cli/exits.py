"""Exit codes: documented, stable, and the only place where they are numbers."""

from __future__ import annotations

from enum import IntEnum

from blueprint.errors import EngineError


class Exit(IntEnum):
    """What a command ends with."""

    DONE = 0
    """It did what was asked."""
    FAILED = 1
    """It failed; the message says why and what to do."""
    CHANGES = 2
    """Changes are pending: only with --detailed-exitcode."""
    OPERATOR = 4
    """A step is parked and waits for an operator, or the run waits for approval."""
    OUT_OF_DATE = 5
    """The approved plan is not what would be done now."""
    BUSY = 11
    """Another change of the environment is running."""
    USAGE = 64
    """The command line is wrong."""
    INTERRUPTED = 130
    """Interrupted; a run that was started goes on."""


_BY_CODE = {"plan_out_of_date": Exit.OUT_OF_DATE, "another_change_runs": Exit.BUSY, "usage": Exit.USAGE}


def exit_for(error: EngineError) -> int:
    """The exit code of an error."""
    own = getattr(error, "exit_code", None)
    return int(own) if own is not None else int(_BY_CODE.get(error.code, Exit.FAILED))


class UsageRefused(EngineError):
    """The command line asks for something that it cannot have."""

    code = "usage"
