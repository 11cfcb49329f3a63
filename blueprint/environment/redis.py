"""Managed Redis."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from blueprint.environment.base import Section
from blueprint.environment.scalars import CommercialType, Label, Matching


def _setting(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


Setting = Annotated[str, BeforeValidator(_setting, json_schema_input_type=str | int | float | bool)]
"""Value of a setting, in the words of Scaleway's API."""


class Redis(Section):
    """The managed Redis instance: one endpoint, in the private network; the password is kept in Secret Manager."""

    version: Annotated[str, Matching(r"\d+\.\d+\.\d+", "a full version, such as 8.6.3")] = "8.6.3"
    """Full version."""
    type: CommercialType = "RED1-MICRO"
    """Commercial type of a node."""
    nodes: int = Field(default=1, ge=1, le=6)
    """1 stands alone, 2 are a primary with a standby, 3 to 6 a cluster. From or to a cluster replaces the instance."""
    tls: bool = True
    """Whether connections are encrypted. Changing it replaces the instance."""
    settings: dict[str, Setting] = Field(default={})
    """Settings of the engine, such as maxmemory-policy. One that is taken out of the file stays as it is."""
    clients: list[Label] | None = None
    """Roles of `nodes` that may connect; all if left out. The network ACL keeps others out."""
