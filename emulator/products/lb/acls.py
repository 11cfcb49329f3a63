"""ACLs of a frontend: whom it lets in, whom it refuses, what it redirects; the lowest index is asked first."""

from __future__ import annotations

from typing import Any

from emulator.paging import matching, page
from emulator.products.lb.resources import (
    ACLS,
    FRONTENDS,
    ZONED,
    choice,
    find_child,
    integer,
    invalid_field,
    lb_of,
    ordered,
    reconfigure,
    show_frontend,
    writable,
)
from emulator.routing import Answer, Call, Product
from emulator.world import Document, World, public

product = Product("lb", ZONED)

FILTERS = ("acl_http_filter_none", "path_begin", "path_end", "regex", "http_header_match")
REDIRECT_CODES = (301, 302, 303, 307, 308)


def _action(body: Document) -> Document:
    given = body.get("action") or {}
    kind = choice(given, "type", "allow", ("allow", "deny", "redirect"))
    if kind != "redirect":
        return {"type": kind, "redirect": None}
    redirect = given.get("redirect") or {}
    if not redirect.get("target"):
        raise invalid_field("action.redirect.target", "a redirection needs a target")
    code = redirect.get("code") or 302
    if code not in REDIRECT_CODES:
        raise invalid_field("action.redirect.code", f"must be one of {REDIRECT_CODES}")
    form = choice(redirect, "type", "location", ("location", "scheme"))
    return {"type": kind, "redirect": {"type": form, "target": redirect["target"], "code": code}}


def _match(body: Document) -> Document | None:
    given = body.get("match")
    if given is None:
        return None
    return {
        "ip_subnet": list(given.get("ip_subnet") or []),
        "ips_edge_services": bool(given.get("ips_edge_services")),
        "http_filter": choice(given, "http_filter", FILTERS[0], FILTERS),
        "http_filter_value": list(given.get("http_filter_value") or []),
        "http_filter_option": given.get("http_filter_option"),
        "invert": bool(given.get("invert")),
    }


def _settings(body: Document) -> Document:
    return {
        "name": body.get("name") or "",
        "match": _match(body),
        "action": _action(body),
        "index": integer(body, "index", 0, lowest=0, highest=2**31 - 1),
        "description": body.get("description") or "",
    }


def _new(world: World, frontend: Document, settings: Document) -> Document:
    now = world.timestamp()
    acl = {
        "id": world.new_id(),
        **settings,
        "name": settings["name"] or f"lb-acl-{world.new_id()[:8]}",
        "created_at": now,
        "updated_at": now,
        "_frontend_id": frontend["id"],
        "_lb_id": frontend["_lb_id"],
    }
    return world.put(ACLS, acl)


def _show(world: World, acl: Document) -> Document:
    return {**public(acl), "frontend": show_frontend(world, world.tables[FRONTENDS][acl["_frontend_id"]])}


def _find(call: Call) -> Document:
    return find_child(call, ACLS, call.params["acl_id"], "acl")


def _frontend(call: Call) -> Document:
    return find_child(call, FRONTENDS, call.params["frontend_id"], "frontend")


@product.post("/frontends/{frontend_id}/acls", call_ms=460)
def create_acl(call: Call) -> Answer:
    """Add an ACL to a frontend."""
    frontend = _frontend(call)
    lb = writable(lb_of(call.world, frontend))
    acl = _new(call.world, frontend, _settings(call.body))
    reconfigure(call.world, lb)
    return _show(call.world, acl)


@product.get("/frontends/{frontend_id}/acls", call_ms=134)
def list_acls(call: Call) -> Answer:
    """The ACLs of a frontend."""
    found = matching(call, call.world.where(ACLS, _frontend_id=_frontend(call)["id"]))
    return page(call, ordered(call, found), "acls", show=lambda acl: _show(call.world, acl))


@product.put("/frontends/{frontend_id}/acls")
def set_acls(call: Call) -> Answer:
    """Replace all ACLs of a frontend at once."""
    frontend, world = _frontend(call), call.world
    lb = writable(lb_of(world, frontend))
    specs: list[Any] = call.body.get("acls") or []
    settings = [_settings(spec) for spec in specs]
    for acl in list(world.where(ACLS, _frontend_id=frontend["id"])):
        world.remove(ACLS, acl["id"])
    acls = [_new(world, frontend, each) for each in settings]
    reconfigure(world, lb)
    return {"acls": [_show(world, acl) for acl in acls], "total_count": len(acls)}


@product.get("/acls/{acl_id}", call_ms=108)
def get_acl(call: Call) -> Answer:
    """One ACL."""
    return _show(call.world, _find(call))


@product.put("/acls/{acl_id}", call_ms=341)
def update_acl(call: Call) -> Answer:
    """Replace an ACL."""
    acl = _find(call)
    lb = writable(lb_of(call.world, acl))
    settings = _settings(call.body)
    acl.update(settings, name=settings["name"] or acl["name"], updated_at=call.world.timestamp())
    call.world.put(ACLS, acl)
    reconfigure(call.world, lb)
    return _show(call.world, acl)


@product.delete("/acls/{acl_id}", call_ms=342)
def delete_acl(call: Call) -> Answer:
    """Remove an ACL."""
    acl = _find(call)
    lb = writable(lb_of(call.world, acl))
    call.world.remove(ACLS, acl["id"])
    reconfigure(call.world, lb)
    return None
