"""What the load balancer and the zones of a file become, and in what order they change."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest

from blueprint.environment import parse
from blueprint.environment.dns_values import canonical, quoted
from blueprint.graph import resources_of
from blueprint.kinds import KINDS
from blueprint.plan import Plan
from blueprint.planner import make_destroy_plan, make_plan
from blueprint.resource import Observed, Resource, references, resolve
from tests.blueprint.steps import before

FILE: dict[str, Any] = {
    "org": "lssm",
    "env": "prod",
    "network": {"cidr": "10.0.0.0/24"},
    "nodes": {"core": {"count": 2, "type": "DEV1-M"}},
    "load_balancer": {
        "ipv6": True,
        "backends": {"api": {"nodes": "core"}},
        "certificates": {
            "api": {"domains": ["api.lssm.tech", "www.lssm.tech", "shop.lssm.tech"]},
            "other": {"domains": ["api.artisanos.app"]},
        },
    },
    "dns": {
        "lssm.tech": {
            "records": [
                {"name": "api", "target": "load_balancer"},
                {"name": "www", "type": "CNAME", "values": ["shop"]},
                {"name": "shop", "type": "CNAME", "values": ["api.artisanos.app."]},
                {"name": "mail", "type": "A", "values": ["203.0.113.1"]},
            ]
        },
        "artisanos.app": {"records": [{"name": "api", "type": "A", "target": "load_balancer"}]},
        "stg.lssm.tech": {},
    },
}


def edited(**load_balancer: Any) -> dict[str, Any]:
    """The file with some keys of its load balancer changed."""
    file = copy.deepcopy(FILE)
    file["load_balancer"] |= load_balancer
    return file


def declared(file: dict[str, Any]) -> dict[str, Resource]:
    """The resources of the load balancer and of DNS; what they need of other products exists."""
    found = [item for item in resources_of(parse(file)) if KINDS[item.kind].product in ("lb", "dns")]
    inside = {item.key for item in found}

    def known(value: Any) -> Any:
        outside = {reference["$ref"] for reference in references(value)} - inside
        return resolve(value, lambda key, output: key if key in outside else {"$ref": key, "output": output})

    return {item.key: item.model_copy(update={"fields": known(item.fields)}) for item in found}


def existing(resources: Iterable[Resource]) -> list[Observed]:
    """The objects of these resources, as they should be."""
    by_key = {resource.key: resource for resource in resources}
    objects = []
    for key, resource in by_key.items():
        fields = resolve(resource.fields, lambda key, output: key)
        used = {reference["$ref"] for reference in references(resource.fields)} if resource.kind != "dns_record" else ()
        objects.append(
            Observed(
                kind=resource.kind,
                name=resource.name,
                id=key,
                fields=fields | ({"only_ipv4": "ipv6" not in fields} if resource.kind == "lb" else {}),
                outputs={"id": key, "address": key},
                parent_id=resource.parent,
                uses=tuple(sorted({*used, resource.parent} if resource.kind == "lb_private_network" else used)),
            )
        )
    return objects


def plan_of(before: dict[str, Any], after: dict[str, Any]) -> Plan:
    """The plan that leads from one file to another."""
    return make_plan("lssm-prod", declared(after).values(), existing(declared(before).values()))


def test_certificate_waits_for_the_records_of_its_names() -> None:
    """CNAMEs followed, across zones; records that lead elsewhere do not count."""
    found = declared(FILE)
    assert found["lb_certificate.other"].depends_on == ("dns_record.artisanos.app/api/A",)
    assert found["lb_certificate.api"].depends_on == (
        "dns_record.artisanos.app/api/A",
        "dns_record.lssm.tech/api/A",
        "dns_record.lssm.tech/api/AAAA",
        "dns_record.lssm.tech/shop/CNAME",
        "dns_record.lssm.tech/www/CNAME",
    )


def test_order_of_a_first_apply() -> None:
    """Address, record, certificate, HTTPS; the sub-zone after its domain; everything on the balancer one by one."""
    plan = make_plan("lssm-prod", declared(FILE).values(), [])
    records = "create dns_record.artisanos.app/api/A"
    chain = ["create lb_ip.ipv4", records, "create lb_certificate.other", "create lb_frontend.https"]
    for first, then in pairwise(chain):
        assert before(plan, first, then), (first, then)
    assert before(plan, "create dns_zone.lssm.tech", "create dns_zone.stg.lssm.tech")
    serial = {change: step.serial for step in plan.steps for change in step.changes}
    assert {serial[key] for key in serial if key.startswith("lb") and not key.startswith("lb_ip")} == {
        "lb:lb-lssm-prod"
    }
    assert serial["dns_record.lssm.tech/mail/A"] == "dns:lssm.tech"


def test_other_domains_are_another_certificate() -> None:
    """The new one is ordered, the frontend shows it, the old one goes: nobody is left without a certificate."""
    after = copy.deepcopy(FILE)
    after["load_balancer"]["certificates"]["api"]["domains"].pop()
    plan = plan_of(FILE, after)
    old = declared(FILE)["lb_certificate.api"].name

    assert {change.key: change.action for change in plan.changes} == {
        "lb_certificate.api": "create",
        "lb_frontend.https": "update",
        f"lb_certificate.{old}": "delete",
    }
    assert before(plan, "create lb_certificate.api", "update lb_frontend.https")
    assert before(plan, "update lb_frontend.https", f"delete lb_certificate.{old}")


def test_order_of_domains() -> None:
    """Only the first, the common name, matters."""
    names = []
    for domains in (["a", "b", "c"], ["a", "c", "b"], ["b", "a", "c"]):
        file = edited(certificates={"api": {"domains": [f"{name}.lssm.tech" for name in domains]}})
        file["dns"]["lssm.tech"]["records"] = [{"name": name, "target": "load_balancer"} for name in "abc"]
        names.append(declared(file)["lb_certificate.api"].name)
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("lb-lssm-prod/lssm-prod-api-")


def test_failed_certificate_is_replaced() -> None:
    """It would block its successor otherwise."""
    objects = [
        item.model_copy(update={"health": "failed"}) if item.id == "lb_certificate.other" else item
        for item in existing(declared(FILE).values())
    ]
    plan = make_plan("lssm-prod", declared(FILE).values(), objects)
    assert {change.key: change.action for change in plan.changes} == {
        "lb_certificate.other": "replace",
        "lb_frontend.https": "update",
    }


def test_ipv6_taken_away() -> None:
    """That needs another load balancer; what is under it is made again, and it is detached before it goes."""
    plan = plan_of(FILE, edited(ipv6=False))
    actions = {change.key: change.action for change in plan.changes}
    assert actions["lb.main"] == actions["lb_private_network.main"] == "replace"
    children = [key for key in declared(FILE) if key.startswith(("lb_backend", "lb_cert", "lb_front", "lb_acl"))]
    assert {actions[key] for key in children} == {"create"}
    assert before(plan, "delete lb_private_network.main", "delete lb.main")
    assert before(plan, "delete lb.main", "delete lb_ip.lb-lssm-prod/ipv6")
    assert before(plan, "create lb.main", "create lb_acl.http")
    assert "IPv6" in next(change.why for change in plan.changes if change.key == "lb.main")


def test_ipv6_added() -> None:
    """The same load balancer takes it."""
    plan = plan_of(edited(ipv6=False), FILE)
    assert {change.key: change.action for change in plan.changes} == {
        "dns_record.lssm.tech/api/AAAA": "create",
        "lb_ip.ipv6": "create",
        "lb.main": "update",
    }


def test_node_leaves_its_pool_first() -> None:
    """No request meets a server that is gone."""
    objects = [
        item.model_copy(update={"uses": ("nic-1", "nic-2")}) if item.kind == "lb_backend" else item
        for item in existing(declared(FILE).values())
    ]
    leaving = Observed(kind="private_nic", name="lssm-prod-core-02/pn-lssm-prod-core", id="nic-2")
    fewer = declared(FILE | {"nodes": {"core": {"count": 1, "type": "DEV1-M"}}})
    plan = make_plan("lssm-prod", fewer.values(), [*objects, leaving])

    assert before(plan, "update lb_backend.api", f"delete private_nic.{leaving.name}")


def test_destroy() -> None:
    """Detached, deleted, then the addresses; the zones are held, and the records that they hold with them."""
    resources = declared(FILE).values()
    plan = make_destroy_plan("lssm-prod", resources, existing(resources))
    actions = {change.key: change.action for change in plan.changes}

    assert {action for key, action in actions.items() if key.startswith("dns_")} == {"held"}
    assert {key for key, action in actions.items() if action == "delete"} == {
        "lb.main",
        "lb_private_network.main",
        "lb_ip.ipv4",
        "lb_ip.ipv6",
    }
    assert before(plan, "delete lb_private_network.main", "delete lb.main")
    assert before(plan, "delete lb.main", "delete lb_ip.ipv4")


def test_records_share_calls() -> None:
    """A hundred at most in one."""
    file = copy.deepcopy(FILE)
    file["dns"]["artisanos.app"]["records"] += [
        {"name": f"n{n}", "type": "A", "values": ["203.0.113.1"]} for n in range(250)
    ]
    sizes = [len(step.changes) for step in plan_of(FILE, file).steps]
    assert sorted(sizes) == [50, 100, 100]


def test_foreign_record_stands_in_the_way() -> None:
    """It is not overwritten unless somebody says so."""
    objects = [
        item.model_copy(update={"ownership": "foreign", "fields": {"ttl": 60, "values": ["203.0.113.2"]}})
        if item.name == "lssm.tech/mail/A"
        else item
        for item in existing(declared(FILE).values())
    ]
    plan = make_plan("lssm-prod", declared(FILE).values(), objects)
    assert [(change.key, change.action) for change in plan.changes] == [("dns_record.lssm.tech/mail/A", "conflict")]


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("A", "203.0.113.1", "203.0.113.1"),
        ("AAAA", "2001:DB8:0:0::7", "2001:db8::7"),
        ("CNAME", "api", "api.lssm.tech."),
        ("CNAME", "API.example.org.", "api.example.org."),
        ("ALIAS", "@", "lssm.tech."),
        ("MX", "mail", "7 mail.lssm.tech."),
        ("MX", "10 mail.lssm.tech.", "10 mail.lssm.tech."),
        ("SRV", "10 443 sip.example.org.", "7 10 443 sip.example.org."),
        ("SRV", "5 10 443 sip.example.org.", "5 10 443 sip.example.org."),
        ("TXT", "v=spf1 -all", "v=spf1 -all"),
        ("TXT", '"v=spf1 -all"', "v=spf1 -all"),
        ("TXT", '"one " "text"', "one text"),
        ("TXT", quoted(r'a "b" \c'), r'a "b" \c'),
        ("CAA", '0 issue "letsencrypt.org"', '0 issue "letsencrypt.org"'),
    ],
)
def test_one_form_of_a_value(type_: str, value: str, expected: str) -> None:
    """What the file says and what the API shows meet in it."""
    assert canonical(type_, value, "lssm.tech", 7) == expected


@pytest.mark.parametrize(
    ("backend", "field", "value"),
    [
        ({"connect_timeout": "1500ms"}, "timeout_connect", 1500),
        ({"tunnel_timeout": "1h"}, "timeout_tunnel", 3_600_000),
        ({"queue_timeout": "5s"}, "timeout_queue", "5s"),
        ({"queue_timeout": "250ms"}, "timeout_queue", "0.250s"),
        ({"sticky": "cookie", "cookie": "S"}, "sticky_sessions_cookie_name", "S"),
        ({"sticky": "table", "cookie": "S"}, "sticky_sessions_cookie_name", ""),
        ({"redispatch": False}, "redispatch_attempt_count", 0),
        ({}, "server_ip", ["private_nic.core-01", "private_nic.core-02"]),
    ],
)
def test_backend_in_the_words_of_the_api(backend: dict[str, Any], field: str, value: Any) -> None:
    """Whole milliseconds, but for what the API writes as a duration."""
    found = declared(edited(backends={"api": {"nodes": "core", **backend}}))
    assert found["lb_backend.api"].fields[field] == value
