"""LLM routing: which use case goes to which provider and model. Delivered to the backend as configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from blueprint.environment.base import Section
from blueprint.environment.scalars import Label, Matching

UseCase = Annotated[
    str, Matching("[a-z][a-z0-9_]*", "lower-case letters, digits and underscores, such as cheap_utility")
]


class LlmProvider(Section):
    """A provider with an OpenAI-compatible API."""

    base_url: Annotated[str, Matching("https?://.+", "an address such as https://api.example.org/v1", limit=2048)] = (
        "https://api.scaleway.ai/v1"
    )
    """Where its API is; Scaleway's Generative APIs if left out."""
    api_key: Label = Field(examples=["premium-llm-key", "backend-api-key"])
    """Name of the secret that holds its key: one of `secrets`, or one of the engine, such as `<app>-api-key`."""


class LlmRoute(Section):
    """Where a use case goes."""

    provider: Label
    """One of `providers`."""
    model: str = Field(min_length=1)
    """The provider's own name of the model."""


class Llm(Section):
    """The routing table."""

    providers: dict[Label, LlmProvider] = Field(min_length=1)
    """Providers, by name."""
    routes: dict[UseCase, LlmRoute] = Field(min_length=1)
    """Use cases, by name."""
