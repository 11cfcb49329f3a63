"""Whose word a change waits for."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from blueprint.environment.base import Section
from blueprint.environment.scalars import Seconds


class Approval(Section):
    """What makes an environment a protected one.

    Apply, destroy, replace and deploy show what they would do, and begin once somebody approves exactly that.
    A rollback never waits: it is an emergency.
    """

    timeout: Annotated[Seconds, Field(ge=60)] = 86_400.0
    """How long a run waits; nobody's word by then is a rejection."""
    others_only: bool = False
    """Whether the one who started a run may not approve it: two people see every change."""


def _protecting(value: Any) -> Any:
    return {} if value is None else value


Protection = Annotated[Approval | None, BeforeValidator(_protecting)]
"""Approval, if the file has the section. One that is left empty protects, too: that it did not would go unnoticed."""
