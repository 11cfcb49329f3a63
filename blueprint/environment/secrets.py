"""Secrets. The file says that they exist and where their values come from, never the values."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from blueprint.environment.base import Section
from blueprint.environment.scalars import Matching, wrong


class Secret(Section):
    """A secret in Secret Manager, in the folder `/<org>/<env>`; protected. Exactly one of three sources."""

    description: str = ""
    """For people."""
    generate: int | None = Field(default=None, ge=16, le=256)
    """Made once, at random, with this many characters."""
    env: (
        Annotated[str, Matching("[A-Z_][A-Z0-9_]*", "the name of an environment variable, such as STRIPE_KEY")] | None
    ) = None
    """Taken from this environment variable of the worker; a new value becomes a new version."""
    external: Literal[True] | None = None
    """Put there by a person; the engine only makes the empty place, and says when it is still empty."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("generate", "env", "external") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise wrong(f"the value needs one source; one of generate, env and external fits, here is {found}")
        return self
