"""Health, as somebody outside sees it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from blueprint.environment.base import Section
from blueprint.environment.scalars import Matching, Seconds

UrlPath = Annotated[str, Matching(r"/[^\s]*", "a path from the root, such as /healthz", limit=500)]


class Health(Section):
    """Checks that ask as users do, by the clock and for `status --live`.

    What else the file declares is checked besides: the answers of its DNS zones, the certificates of the load balancer,
    a message through a queue that nothing but these checks uses, and, from a node, a query in each database and a value
    through Redis.
    """

    url: (
        Annotated[str, Matching(r"https?://[^\s/]+", "scheme and host, such as https://api.example.org", limit=300)]
        | None
    ) = None
    """Where users find the application; scheme and host of `app.url` if left out, or the first certificate's name."""
    path: UrlPath = "/healthz"
    """What answers 2xx to a GET while the application is well."""
    rest: UrlPath | None = None
    """The same below the REST API; not asked if left out."""
    graphql: UrlPath | None = None
    """Where GraphQL is asked for `{ __typename }`; nowhere if left out."""
    websocket: UrlPath | None = None
    """Where a WebSocket sends back what it is sent; not tried if left out."""
    timeout: Annotated[Seconds, Field(ge=1, le=60)] = 10.0
    """How long any answer may take."""
    certificate_days: int = Field(default=21, ge=1, le=89)
    """Days for which a certificate has to be valid still. Let's Encrypt's are renewed 30 days before their end."""
