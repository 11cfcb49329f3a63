"""From a method and a path to the operation that serves it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from emulator.routing import Route


class Router:
    """Routes indexed by method, number of segments and first segment, so that hundreds of them cost one look-up."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._index: dict[tuple[str, int, str], list[Route]] = defaultdict(list)
        self._products: set[str] = set()
        for route in routes:
            self._products.add(route.template.split("/")[1])
            self._index[self._key(route.method, route.template)].append(route)
        for found in self._index.values():
            # A literal segment beats a parameter: /servers/{id} must not take /servers/products.
            found.sort(key=lambda route: route.template.count("{"))

    @staticmethod
    def _key(method: str, path: str) -> tuple[str, int, str]:
        segments = path.strip("/").split("/")
        return method, len(segments), segments[0]

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route and the path's parameters, or None."""
        for route in self._index.get(self._key(method, path), ()):
            if match := route.pattern.fullmatch(path):
                return route, match.groupdict()
        return None

    def serves(self, path: str) -> bool:
        """Whether the path is below a product that there is."""
        return path.split("/")[1] in self._products
