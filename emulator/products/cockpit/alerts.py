"""The alert manager of a project: preconfigured alerts and the people they reach."""

from __future__ import annotations

import re

from emulator.errors import already_exists, invalid_arguments, not_found, permissions_denied, precondition_failed
from emulator.paging import page
from emulator.products.cockpit.scope import REGIONAL, catalogue, project_of, scaleway_source, scaleway_sources
from emulator.products.cockpit.sources import RULES, SOURCES
from emulator.routing import Answer, Call, Product
from emulator.world import Document, World, hook

product = Product("cockpit", REGIONAL, resource="cockpit")
outliving = Product("cockpit", REGIONAL, resource="cockpit", any_project=True)
"""What also answers for a project that has just been deleted."""

MANAGERS = "cockpit.alert_managers"
RULE_AFTER = 5.0
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def _manager(call: Call, project: str) -> Document:
    """The alert manager of a project in the region; disabled, and not stored, if nobody enabled it yet."""
    key, world = f"{call.params['region']}/{project}", call.world
    return world.find(MANAGERS, key) or {
        "id": key,
        "_project_id": project,
        "_region": call.params["region"],
        "_host": world.new_id(),
        "_rules": None,
        "_contacts": [],
    }


def _enabled_manager(call: Call) -> Document:
    manager = _manager(call, project_of(call))
    if not manager.get("_enabled"):
        raise precondition_failed("resource_not_usable", "the alert manager is not enabled")
    return manager


def _shown(manager: Document) -> Document:
    enabled, region = bool(manager.get("_enabled")), manager["_region"]
    statuses = (manager["_rules"] or {}).values()
    return {
        "alert_manager_url": f"https://{manager['_host']}.alertmanager.cockpit.{region}.scw.cloud" if enabled else None,
        "alert_manager_enabled": enabled,
        "managed_alerts_enabled": any(status in {"enabling", "enabled"} for status in statuses),
        "region": region,
    }


@outliving.get("/alert-manager", call_ms=67)
def get_alert_manager(call: Call) -> Answer:
    """Whether a project's alert manager and its preconfigured alerts are enabled: no, if the project is deleted."""
    project, world = project_of(call), call.world
    if not (world.find("account.projects", project) or world.find("_account.deleted_projects", project)):
        raise permissions_denied("cockpit", "read")
    return _shown(_manager(call, project))


@product.post("/alert-manager/enable", call_ms=185)
def enable_alert_manager(call: Call) -> Answer:
    """Enable the alert manager, without any alert."""
    manager = _manager(call, project_of(call))
    manager["_enabled"] = True
    return _shown(call.world.put(MANAGERS, manager))


@product.post("/alert-manager/disable", call_ms=296)
def disable_alert_manager(call: Call) -> Answer:
    """Disable the alert manager, with its alerts and contact points."""
    manager = _manager(call, project_of(call))
    call.world.remove(MANAGERS, manager["id"])
    return _shown({**manager, "_enabled": False, "_rules": None})


@product.post("/alert-manager/trigger-test-alert")
def trigger_test_alert(call: Call) -> Answer:
    """Send a test alert to the contact points."""
    _enabled_manager(call)
    return None


# -- alerts ----------------------------------------------------------------------------------------------------


def _switch(call: Call, manager: Document, rule_ids: list[str], target: str) -> list[str]:
    """Let rules become enabled or disabled, which takes a moment; returns the ids of those that were not so yet."""
    known = [alert["preconfigured_rule_id"] for alert in catalogue()["alerts"]]
    for rule_id in rule_ids:
        if rule_id not in known:
            raise not_found("rule", rule_id)
    if manager["_rules"] is None:
        manager["_rules"] = dict.fromkeys(known, "disabled")
    changed = [rule_id for rule_id in rule_ids or known if manager["_rules"][rule_id] != target]
    passing = {"enabled": "enabling", "disabled": "disabling"}[target]
    for rule_id in changed:
        manager["_rules"][rule_id] = passing
    call.world.put(MANAGERS, manager)
    data = {"rule_ids": changed, "passing": passing, "target": target}
    call.world.later(RULE_AFTER, MANAGERS, manager["id"], run="cockpit.switched", data=data)
    return changed


@hook("cockpit.switched")
def switched(world: World, manager: Document, data: Document) -> None:
    """The rules have been loaded or unloaded, unless they were switched back meanwhile."""
    for rule_id in data["rule_ids"]:
        if (manager["_rules"] or {}).get(rule_id) == data["passing"]:
            manager["_rules"][rule_id] = data["target"]
    world.put(MANAGERS, manager)


@product.post("/alert-manager/managed-alerts/enable", call_ms=250)
def enable_managed_alerts(call: Call) -> Answer:
    """Enable all preconfigured alerts."""
    manager = _enabled_manager(call)
    _switch(call, manager, [], "enabled")
    return _shown(manager)


@product.post("/alert-manager/managed-alerts/disable", call_ms=212)
def disable_managed_alerts(call: Call) -> Answer:
    """Disable all preconfigured alerts."""
    manager = _enabled_manager(call)
    _switch(call, manager, [], "disabled")
    return _shown(manager)


@product.post("/alert-manager/enable-alert-rules")
def enable_alert_rules(call: Call) -> Answer:
    """Enable some preconfigured alerts, or all if none is named."""
    rule_ids = list(call.body.get("rule_ids") or [])
    return {"enabled_rule_ids": _switch(call, _enabled_manager(call), rule_ids, "enabled")}


@product.post("/alert-manager/disable-alert-rules")
def disable_alert_rules(call: Call) -> Answer:
    """Disable some preconfigured alerts, or all if none is named."""
    rule_ids = list(call.body.get("rule_ids") or [])
    return {"disabled_rule_ids": _switch(call, _enabled_manager(call), rule_ids, "disabled")}


def _alert(world: World, manager: Document, facts: Document) -> Document:
    status = manager["_rules"][facts["preconfigured_rule_id"]]
    source = scaleway_source(world, manager["_project_id"], manager["_region"], "metrics")
    text = f"{facts['display_name']} of {facts['product_name']} {{{{ $labels.resource_name }}}}"
    annotations = {
        "description": text,
        "summary": text,
        "display_name": facts["display_name"],
        "display_description": facts["display_description"],
        "family": facts["product_family"],
        "product": facts["product_name"],
        "rule_id": facts["preconfigured_rule_id"],
    }
    if facts["dashboard"]:
        annotations["dashboard_path"] = facts["dashboard"]
    names = ("preconfigured_rule_id", "display_name", "display_description", "product_name", "product_family")
    return {
        "region": manager["_region"],
        "preconfigured": True,
        "name": facts["name"],
        "rule": facts["rule"],
        "duration": facts["duration"],
        "rule_status": status,
        "state": "inactive" if status in {"enabled", "disabling"} else "unknown_state",
        "annotations": annotations,
        "preconfigured_data": {name: facts[name] for name in names},
        "data_source_id": source["id"] if status == "enabled" else "",
    }


@product.get("/alerts", call_ms=125)
def list_alerts(call: Call) -> Answer:
    """The preconfigured alerts of a project: none before the first of them was enabled."""
    manager = _manager(call, project_of(call))
    found = []
    if manager["_rules"] is not None and call.flag("is_preconfigured") is not False:
        found = [_alert(call.world, manager, facts) for facts in catalogue()["alerts"]]
    for field in ("rule_status", "state", "data_source_id"):
        if wanted := call.arg(field):
            found = [alert for alert in found if alert[field] == wanted]
    return page(call, found, "alerts", default_size=100)


@product.get("/rules/count")
def get_rules_count(call: Call) -> Answer:
    """How many rules are loaded."""
    manager = _manager(call, project_of(call))
    enabled = [status for status in (manager["_rules"] or {}).values() if status == "enabled"]
    project, region, world = manager["_project_id"], manager["_region"], call.world
    sources = [*scaleway_sources(world, project, region), *world.where(SOURCES, project_id=project, region=region)]
    counts = [
        {
            "data_source_id": source["id"],
            "data_source_name": source["name"],
            "rules_count": sum(len(group["rules"]) for group in world.where(RULES, _source=source["id"])),
        }
        for source in sources
    ]
    return {
        "rules_count_by_datasource": [count for count in counts if count["rules_count"]],
        "preconfigured_rules_count": len(enabled),
        "custom_rules_count": sum(count["rules_count"] for count in counts),
    }


# -- contact points --------------------------------------------------------------------------------------------


def _address(call: Call) -> str:
    address = str((call.body.get("email") or {}).get("to") or "")
    if not ADDRESS.fullmatch(address):
        raise invalid_arguments(("email.to", "format", "must be an e-mail address"))
    return address


def _contact(manager: Document, address: str) -> Document:
    for contact in manager["_contacts"]:
        if contact["email"]["to"] == address:
            found: Document = contact
            return found
    raise not_found("contact point", address)


@product.get("/alert-manager/contact-points", call_ms=130)
def list_contact_points(call: Call) -> Answer:
    """Who is told of alerts."""
    manager = _manager(call, project_of(call))
    listed = page(call, manager["_contacts"], "contact_points")
    return {**listed, "has_additional_receivers": False, "has_additional_contact_points": False}


@product.post("/alert-manager/contact-points", call_ms=427)
def create_contact_point(call: Call) -> Answer:
    """Tell somebody of alerts."""
    manager, address = _enabled_manager(call), _address(call)
    if any(contact["email"]["to"] == address for contact in manager["_contacts"]):
        raise already_exists("contact point", address, "contact points must be unique")
    contact: Document = {
        "email": {"to": address},
        "send_resolved_notifications": call.body.get("send_resolved_notifications") is not False,
        "region": call.params["region"],
    }
    manager["_contacts"].append(contact)
    call.world.put(MANAGERS, manager)
    return contact


@product.patch("/alert-manager/contact-points")
def update_contact_point(call: Call) -> Answer:
    """Choose whether somebody is told when an alert is over."""
    manager = _enabled_manager(call)
    contact = _contact(manager, _address(call))
    if call.body.get("send_resolved_notifications") is not None:
        contact["send_resolved_notifications"] = bool(call.body["send_resolved_notifications"])
    call.world.put(MANAGERS, manager)
    return contact


@product.post("/alert-manager/contact-points/delete", call_ms=408)
def delete_contact_point(call: Call) -> Answer:
    """Tell somebody no longer."""
    manager = _enabled_manager(call)
    manager["_contacts"].remove(_contact(manager, _address(call)))
    call.world.put(MANAGERS, manager)
    return None
