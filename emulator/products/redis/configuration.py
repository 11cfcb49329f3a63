"""ACL rules and settings of a cluster: both are applied while it is `configuring`."""

from __future__ import annotations

import ipaddress
from typing import Any

from emulator.errors import invalid_arguments, not_found
from emulator.products.redis.catalogue import ZONED, checked_settings
from emulator.products.redis.states import CLUSTERS, find_cluster, reconfigure, show_cluster, writable
from emulator.routing import Answer, Call, Product
from emulator.world import Document, World

product = Product("redis", ZONED)


def checked_rules(world: World, given: Any) -> list[Document]:
    """New ACL rules of a request; 400 if one does not name a network."""
    rules: list[Document] = []
    for each in given or []:
        try:
            network = ipaddress.ip_network(str(each.get("ip_cidr")), strict=False)
        except ValueError:
            raise invalid_arguments(("ip_cidr", "format", f"{each.get('ip_cidr')!r} is not a network")) from None
        written = str(each["ip_cidr"]) if "/" in each["ip_cidr"] else str(network)
        rules.append({"id": world.new_id(), "ip_cidr": written, "description": each.get("description") or ""})
    return rules


def _rules_for(call: Call, cluster: Document) -> list[Document]:
    rules = checked_rules(call.world, call.body.get("acl_rules"))
    if rules and any("private_network" in endpoint for endpoint in cluster["endpoints"]):
        raise invalid_arguments(("acl_rules", "constraint", "ACL rules cannot be set on a private network endpoint"))
    return rules


def _find_rule(call: Call) -> tuple[Document, Document]:
    wanted = call.params["acl_id"]
    for cluster in call.world.where(CLUSTERS, zone=call.params["zone"]):
        for rule in cluster["acl_rules"]:
            if rule["id"] == wanted:
                return cluster, rule
    raise not_found("acl_rule", wanted)


@product.put("/clusters/{cluster_id}/acls", call_ms=696)
def set_acl_rules(call: Call) -> Answer:
    """Replace all rules."""
    cluster = writable(find_cluster(call))
    cluster["acl_rules"] = _rules_for(call, cluster)
    reconfigure(call.world, cluster)
    return {"acl_rules": cluster["acl_rules"]}


@product.post("/clusters/{cluster_id}/acls", call_ms=696)
def add_acl_rules(call: Call) -> Answer:
    """Add rules."""
    cluster = writable(find_cluster(call))
    cluster["acl_rules"] = [*cluster["acl_rules"], *_rules_for(call, cluster)]
    reconfigure(call.world, cluster)
    return {"acl_rules": cluster["acl_rules"], "total_count": len(cluster["acl_rules"])}


@product.get("/acls/{acl_id}")
def get_acl_rule(call: Call) -> Answer:
    """One rule."""
    return _find_rule(call)[1]


@product.delete("/acls/{acl_id}")
def delete_acl_rule(call: Call) -> Answer:
    """Remove a rule; the answer is the cluster."""
    cluster, rule = _find_rule(call)
    writable(cluster)
    cluster["acl_rules"] = [each for each in cluster["acl_rules"] if each["id"] != rule["id"]]
    reconfigure(call.world, cluster)
    return show_cluster(cluster)


@product.put("/clusters/{cluster_id}/settings")
def set_cluster_settings(call: Call) -> Answer:
    """Replace all settings."""
    cluster = writable(find_cluster(call))
    cluster["cluster_settings"] = checked_settings(call.body.get("settings"))
    reconfigure(call.world, cluster)
    return {"settings": cluster["cluster_settings"]}


@product.post("/clusters/{cluster_id}/settings")
def add_cluster_settings(call: Call) -> Answer:
    """Add settings; one that is there gets its new value."""
    cluster = writable(find_cluster(call))
    added = {setting["name"]: setting for setting in checked_settings(call.body.get("settings"))}
    kept = [setting for setting in cluster["cluster_settings"] if setting["name"] not in added]
    cluster["cluster_settings"] = [*kept, *added.values()]
    reconfigure(call.world, cluster)
    return {"settings": cluster["cluster_settings"]}


@product.delete("/clusters/{cluster_id}/settings/{setting_name}")
def delete_cluster_setting(call: Call) -> Answer:
    """Let a setting fall back to its default; the answer is the cluster."""
    cluster = writable(find_cluster(call))
    name = call.params["setting_name"]
    kept = [setting for setting in cluster["cluster_settings"] if setting["name"] != name]
    if len(kept) == len(cluster["cluster_settings"]):
        raise not_found("cluster_setting", name)
    cluster["cluster_settings"] = kept
    reconfigure(call.world, cluster)
    return show_cluster(cluster)
