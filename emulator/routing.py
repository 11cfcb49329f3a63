"""How a product of the API is written down: routes, calls and replies.

    product = Product("vpc", "/vpc/v2/regions/{region}")

    @product.get("/vpcs/{vpc_id}")
    def get_vpc(call: Call) -> Answer:
        return public(call.require("vpc.vpcs", call.params["vpc_id"], "vpc"))

A handler is a plain function: it reads and changes the world at once, and answers. All waiting (latency, faults,
connections) is the server's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from emulator.errors import not_found
from emulator.world import Document, World


@dataclass
class Reply:
    """An answer that is not simply 200 with a JSON body.

    Attributes:
        body: JSON value, bytes or text; None sends an empty body.
        status: HTTP status code.
        headers: further headers.
        content_type: for bytes and text.
    """

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "text/plain"


Answer = Document | list[Any] | Reply | None
"""What a handler returns: a JSON body (200), a Reply, or None (204 without a body)."""


@dataclass
class Call:
    """One request, parsed.

    Attributes:
        world: everything that exists.
        method: GET, POST, ...
        path: as sent, without the query.
        params: the path's parameters: region, zone, vpc_id, ...
        query: every query parameter with its values, in order.
        body: the parsed JSON body ({} if there is none).
        raw: the body as it came.
        token: the secret key in X-Auth-Token.
        operation: "METHOD /template", the name by which faults and counts address the call.
    """

    world: World
    method: str
    path: str
    params: dict[str, str]
    query: dict[str, list[str]]
    body: Document
    raw: bytes
    token: str
    operation: str

    def arg(self, name: str, default: str | None = None) -> str | None:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    def args(self, name: str) -> list[str]:
        """All values of a query parameter, whether repeated or joined by commas."""
        return [part for value in self.query.get(name, []) for part in value.split(",") if part]

    def flag(self, name: str) -> bool | None:
        """A query parameter that is true or false in any case of letters; None if absent."""
        value = self.arg(name)
        return None if value is None else value.lower() == "true"

    def require(self, table: str, key: str, resource: str) -> Document:
        """The document of that key, or Scaleway's 404 for `resource`."""
        document = self.world.find(table, key)
        if document is None:
            raise not_found(resource, key)
        return document


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Route:
    """One operation: its template for people and faults, its pattern for matching.

    Attributes:
        call_ms: median duration of the real call in ms; None takes the method's own (GET 82, others 283;
            Scaleway latencies, section 3).
        resource: how a refusal for want of permission names what the route is about: "vpc", "cockpit", ...
        any_project: the handler itself answers for a project that does not exist; others get a 403 without it.
    """

    method: str
    template: str
    pattern: re.Pattern[str]
    handler: Handler
    product: str
    call_ms: float | None
    resource: str
    any_project: bool = False

    @property
    def operation(self) -> str:
        """METHOD, a space and the template."""
        return f"{self.method} {self.template}"


class Product:
    """The routes of one product of the API.

    Args:
        name: as in operation counts: "vpc", "lb", ...
        prefix: the path that all routes share, with parameters in braces.
        resource: what a 403 names; None takes the last word of the path, in the singular.
        any_project: its handlers themselves answer for a project that does not exist.
    """

    def __init__(self, name: str, prefix: str, resource: str | None = None, *, any_project: bool = False) -> None:
        self.name = name
        self.prefix = prefix
        self.resource = resource
        self.any_project = any_project
        self.routes: list[Route] = []

    def route(self, method: str, path: str, call_ms: float | None = None) -> Callable[[Handler], Handler]:
        """Register a handler for a method and a path below the prefix. `{name}` matches one segment."""
        template = self.prefix + path
        words = [word for word in template.split("/") if word and not word.startswith("{")]
        resource = self.resource or words[-1].removesuffix("s").replace("-", "_")
        pattern = re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template)) + r"/?")

        def register(handler: Handler) -> Handler:
            self.routes.append(
                Route(method, template, pattern, handler, self.name, call_ms, resource, self.any_project)
            )
            return handler

        return register

    def get(self, path: str, call_ms: float | None = None) -> Callable[[Handler], Handler]:
        """Register a GET."""
        return self.route("GET", path, call_ms)

    def post(self, path: str, call_ms: float | None = None) -> Callable[[Handler], Handler]:
        """Register a POST."""
        return self.route("POST", path, call_ms)

    def put(self, path: str, call_ms: float | None = None) -> Callable[[Handler], Handler]:
        """Register a PUT."""
        return self.route("PUT", path, call_ms)

    def patch(self, path: str, call_ms: float | None = None) -> Callable[[Handler], Handler]:
        """Register a PATCH."""
        return self.route("PATCH", path, call_ms)

    def delete(self, path: str, call_ms: float | None = None) -> Callable[[Handler], Handler]:
        """Register a DELETE."""
        return self.route("DELETE", path, call_ms)
