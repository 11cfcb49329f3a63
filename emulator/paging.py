"""Lists: filters that most products share, sorting and pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from emulator.routing import Call
from emulator.world import Document, public

LARGEST_PAGE = 100


def page(
    call: Call,
    documents: Iterable[Any],
    key: str,
    *,
    show: Callable[[Any], Any] = public,
    default_size: int = 20,
    largest: int = LARGEST_PAGE,
) -> dict[str, Any]:
    """`{key: [...], "total_count": n}` for the page and page_size that the call asks for."""
    everything = list(documents)
    size = min(max(int(call.arg("page_size") or default_size), 1), largest)
    number = max(int(call.arg("page") or 1), 1)
    start = (number - 1) * size
    return {key: [show(document) for document in everything[start : start + size]], "total_count": len(everything)}


def matching(call: Call, documents: Iterable[Document], *, names: str = "substring") -> list[Document]:
    """Apply the filters found everywhere: project_id, organization_id, name, tags.

    Args:
        names: "substring" as most products do, or "exact".
    """
    found = list(documents)
    if project := call.arg("project_id"):
        found = [document for document in found if document.get("project_id", project) == project]
    if organization := call.arg("organization_id"):
        found = [document for document in found if document.get("organization_id", organization) == organization]
    if name := call.arg("name"):
        found = [d for d in found if (d.get("name") == name if names == "exact" else name in str(d.get("name", "")))]
    if tags := call.args("tags"):
        found = [document for document in found if set(tags) <= set(document.get("tags") or [])]
    return found
