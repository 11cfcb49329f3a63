"""Security groups: the firewall between servers and the Internet. Traffic of private networks does not pass it.

Rules that Scaleway sets itself (no outgoing mail) come first and cannot be edited; a group's own rules are numbered
from 1.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from emulator.errors import not_found
from emulator.products.instance.api import (
    INSTANCE,
    constraint,
    find,
    list_of_strings,
    matching,
    now,
    owner,
    page,
    unusable,
    validation_error,
)
from emulator.routing import Answer, Call, Reply
from emulator.world import Document, World, public

TABLE = "instance.security_groups"
DEFAULT_NAME = "Default security group"
SYNC_SECONDS = 0.5
POLICIES = ("accept", "drop")
CHOICES = {
    "protocol": ("TCP", "UDP", "ICMP", "ANY"),
    "direction": ("inbound", "outbound"),
    "action": POLICIES,
}
MAIL_PORTS = (25, 465, 587)
EVERYWHERE = ("0.0.0.0/0", "::/0")
LAST_PORT = 65_535


def mail_rules(zone: str) -> list[Document]:
    """The rules of `enable_default_security`: no SMTP to the outside, over either IP version."""
    ways = [(ip_range, port) for ip_range in EVERYWHERE for port in MAIL_PORTS]
    return [
        {
            "id": f"11111111-2222-4333-8444-{position:012d}",
            "protocol": "TCP",
            "direction": "outbound",
            "ip_range": ip_range,
            "dest_ip_range": None,
            "dest_port_from": port,
            "dest_port_to": None,
            "position": position,
            "editable": False,
            "action": "drop",
            "zone": zone,
        }
        for position, (ip_range, port) in enumerate(ways, start=1)
    ]


def default_group(world: World, zone: str, owned_by: dict[str, str]) -> Document:
    """The group of servers that name none: one for each project and zone, made when first needed."""
    for group in world.where(TABLE, zone=zone, project=owned_by["project"], project_default=True):
        return group
    return _store(
        world,
        zone,
        owned_by,
        {
            "name": DEFAULT_NAME,
            "description": "Auto generated security group.",
            "organization_default": True,
            "project_default": True,
        },
    )


def _store(world: World, zone: str, owned_by: dict[str, str], fields: Document) -> Document:
    created = now(world)
    return world.put(
        TABLE,
        {
            "id": world.new_id(),
            "creation_date": created,
            "modification_date": created,
            "name": "",
            "description": None,
            **owned_by,
            "stateful": True,
            "inbound_default_policy": "accept",
            "outbound_default_policy": "accept",
            "organization_default": False,
            "project_default": False,
            "enable_default_security": True,
            "state": "available",
            "tags": [],
            "zone": zone,
            "_rules": [],
            **fields,
        },
    )


def _show(world: World, group: Document) -> Document:
    members = world.where("instance.servers", _security_group=group["id"])
    return {**public(group), "servers": [{"id": server["id"], "name": server["name"]} for server in members]}


def _sync(world: World, group: Document) -> None:
    """A change takes a moment to reach the hypervisors."""
    group.update(state="syncing", modification_date=now(world))
    world.put(TABLE, group)
    world.later(SYNC_SECONDS, TABLE, group["id"], change={"state": "available"}, run="instance.modified")


def _policies(call: Call) -> Document:
    """The settings of a group that the body names."""
    settings: Document = {}
    for field in ("inbound_default_policy", "outbound_default_policy"):
        if call.body.get(field) is not None:
            if call.body[field] not in POLICIES:
                raise constraint(field, f"value must be one of {', '.join(POLICIES)}")
            settings[field] = call.body[field]
    for field in ("name", "description", "stateful", "enable_default_security"):
        if call.body.get(field) is not None:
            settings[field] = call.body[field]
    if call.body.get("tags") is not None:
        settings["tags"] = list_of_strings(call, "tags")
    return settings


def _group(call: Call) -> Document:
    return find(call, "security_group", call.params["security_group_id"])


@INSTANCE.post("/security_groups")
def create_security_group(call: Call) -> Answer:
    """Make a group without rules of its own."""
    fields = {"name": f"sg-{call.world.new_id()[:8]}", **_policies(call)}
    group = _store(call.world, call.params["zone"], owner(call), fields)
    if call.body.get("project_default"):
        _make_default(call.world, group)
    return Reply({"security_group": _show(call.world, group)}, 201)


def _make_default(world: World, group: Document) -> None:
    for other in world.where(TABLE, zone=group["zone"], project=group["project"], project_default=True):
        other.update(project_default=False, organization_default=False)
        world.put(TABLE, other)
    group["project_default"] = True


@INSTANCE.get("/security_groups")
def list_security_groups(call: Call) -> Answer:
    """The groups of the zone; asking for a project brings its default group into being."""
    if project := call.arg("project"):
        known = call.world.find("account.projects", project)
        if known:
            default_group(
                call.world,
                call.params["zone"],
                {"organization": known["organization_id"], "project": project},
            )
    found = matching(call, "security_group")
    if call.flag("project_default"):
        found = [group for group in found if group["project_default"]]
    return page(call, found, "security_groups", lambda group: _show(call.world, group))


@INSTANCE.get("/security_groups/{security_group_id}")
def get_security_group(call: Call) -> Answer:
    """One group."""
    return {"security_group": _show(call.world, _group(call))}


@INSTANCE.patch("/security_groups/{security_group_id}")
def update_security_group(call: Call) -> Answer:
    """Change a group's settings; `syncing` for a moment if that changes anything."""
    group, settings = _group(call), _policies(call)
    if call.body.get("project_default") and not group["project_default"]:
        _make_default(call.world, group)
        _sync(call.world, group)
    if any(group[field] != value for field, value in settings.items()):
        group.update(settings)
        _sync(call.world, group)
    return {"security_group": _show(call.world, group)}


@INSTANCE.put("/security_groups/{security_group_id}")
def set_security_group(call: Call) -> Answer:
    """Replace a group's settings."""
    if "tags" in call.body:
        list_of_strings(call, "tags")
    return update_security_group(call)


@INSTANCE.delete("/security_groups/{security_group_id}")
def delete_security_group(call: Call) -> Answer:
    """Delete a group that no server uses. The default one of a project comes back when it is next needed."""
    group = _group(call)
    if next(call.world.where("instance.servers", _security_group=group["id"]), None):
        raise unusable("group is in use. you cannot delete it.", "resource_still_in_use")
    call.world.remove(TABLE, group["id"])
    return None


# -- rules -----------------------------------------------------------------------------------------------------------


def rules_of(group: Document) -> list[Document]:
    """Every rule that applies to a group's servers, in the order of the API."""
    fixed = mail_rules(group["zone"]) if group["enable_default_security"] else []
    return [*fixed, *group["_rules"]]


def _port(given: Document, field: str, place: str) -> int | None:
    port = given.get(field)
    if port is None:
        return None
    if not isinstance(port, int) or not 1 <= port <= LAST_PORT:
        low = isinstance(port, int) and port < 1
        text = "value must be at least 1" if low else f"value must be at most {LAST_PORT}"
        raise validation_error(**{place + field: text})
    return port


def _rule(world: World, zone: str, given: Document, place: str = "") -> Document:
    """The rule that a body describes. A range of one address is shown as that address.

    Args:
        place: "rules.2." for the third rule of a list, as error bodies name it.
    """
    # The Python SDK writes protocols in small letters, Go's and the API itself in capitals.
    given = {**given, "protocol": str(given.get("protocol")).upper()}
    for field, choices in CHOICES.items():
        if given.get(field) not in choices:
            raise validation_error(**{place + field: f"value must be one of {', '.join(choices)}"})
    try:
        network: Any = ipaddress.ip_network(str(given.get("ip_range") or EVERYWHERE[0]))
    except ValueError:
        raise validation_error(**{place + "ip_range": "expected an IP network"}) from None
    first, last = _port(given, "dest_port_from", place), _port(given, "dest_port_to", place)
    if first is not None and last is not None and last < first:
        raise validation_error(**{place + "dest_port_to": "value must be at least dest_port_from"})
    written = str(given.get("ip_range") or EVERYWHERE[0])
    return {
        "id": world.new_id(),
        "protocol": given["protocol"],
        "direction": given["direction"],
        "ip_range": written.partition("/")[0] if network.num_addresses == 1 else written,
        "dest_ip_range": None,
        "dest_port_from": first,
        "dest_port_to": None if last == first else last,
        "position": 0,
        "editable": True,
        "action": given["action"],
        "zone": zone,
    }


def _keep(world: World, group: Document, rules: list[Document]) -> None:
    """Store a group's own rules, numbered from 1; nothing happens if they say what is there already."""
    for position, rule in enumerate(rules, start=1):
        rule["position"] = position
    if [_meaning(rule) for rule in rules] != [_meaning(rule) for rule in group["_rules"]]:
        group["_rules"] = rules
        _sync(world, group)


def _meaning(rule: Document) -> Document:
    return {field: value for field, value in rule.items() if field != "id"}


@INSTANCE.get("/security_groups/{security_group_id}/rules")
def list_security_group_rules(call: Call) -> Answer:
    """The rules of a group, Scaleway's first."""
    return page(call, rules_of(_group(call)), "rules")


@INSTANCE.put("/security_groups/{security_group_id}/rules")
def set_security_group_rules(call: Call) -> Answer:
    """Replace all rules of a group's own by those of the body, in its order. Scaleway's own are ignored in it."""
    group, given = _group(call), call.body.get("rules") or []
    fixed = {rule["id"] for rule in mail_rules(group["zone"])}
    rules = [
        _rule(call.world, group["zone"], rule, f"rules.{number}.")
        for number, rule in enumerate(given)
        if rule.get("id") not in fixed
    ]
    _keep(call.world, group, rules)
    return {"rules": rules_of(group)}


@INSTANCE.post("/security_groups/{security_group_id}/rules")
def create_security_group_rule(call: Call) -> Answer:
    """Add a rule, at `position` or at the end."""
    group = _group(call)
    rule = _rule(call.world, group["zone"], call.body)
    rules = list(group["_rules"])
    position = call.body.get("position") or len(rules) + 1
    rules.insert(position - 1, rule)
    _keep(call.world, group, rules)
    return Reply({"rule": rule}, 201)


def _found_rule(call: Call, group: Document) -> Document:
    for rule in rules_of(group):
        if rule["id"] == call.params["rule_id"]:
            return rule
    raise not_found("instance_security_group_rule", call.params["rule_id"])


@INSTANCE.get("/security_groups/{security_group_id}/rules/{rule_id}")
def get_security_group_rule(call: Call) -> Answer:
    """One rule."""
    return {"rule": _found_rule(call, _group(call))}


@INSTANCE.patch("/security_groups/{security_group_id}/rules/{rule_id}")
def update_security_group_rule(call: Call) -> Answer:
    """Change a rule of the group's own."""
    group = _group(call)
    old = _editable_rule(call, group)
    named = {field: value for field, value in call.body.items() if value is not None}
    new = {**_rule(call.world, group["zone"], {**old, **named}), "id": old["id"]}
    _keep(call.world, group, [new if rule is old else rule for rule in group["_rules"]])
    return {"rule": new}


@INSTANCE.delete("/security_groups/{security_group_id}/rules/{rule_id}")
def delete_security_group_rule(call: Call) -> Answer:
    """Remove a rule of the group's own."""
    group = _group(call)
    old = _editable_rule(call, group)
    _keep(call.world, group, [dict(rule) for rule in group["_rules"] if rule is not old])
    return None


def _editable_rule(call: Call, group: Document) -> Document:
    rule = _found_rule(call, group)
    if not rule["editable"]:
        raise unusable("the rule cannot be edited")
    return rule


@INSTANCE.get("/security_groups/default/rules")
def list_default_security_group_rules(call: Call) -> Answer:
    """The rules that `enable_default_security` adds."""
    return {"rules": mail_rules(call.params["zone"])}
