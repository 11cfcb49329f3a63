"""Alert rules in the rulers of the local Cockpit."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from activities.cloud import Cloud
from activities.kinds.alert_rules import AlertRulesLifecycle
from activities.lifecycle import NO_PARENT, Scope
from blueprint.errors import Busy, Unavailable
from tests.activities.conftest import Control
from tests.activities.site import Site

KINDS = ("secret", "data_source", "cockpit_token", "alert_manager", "alert_rules")
FILE: dict[str, Any] = {
    "monitoring": {
        "data_sources": {"metrics": {"type": "metrics"}},
        "tokens": {"rules": ["full_access_metrics_rules"]},
        "alert_manager": True,
        "alert_rules": "metrics",
    },
}
WITHOUT: dict[str, Any] = copy.deepcopy(FILE)
del WITHOUT["monitoring"]["alert_rules"]
OURS = {"engine", "nodes"}
"""There is nothing to back up or to check."""


def groups(site: Site) -> dict[str, set[str]]:
    """Names of the groups that there are, by data source."""
    found: dict[str, set[str]] = {}
    for item in site.look(FILE)["alert_rules"]:
        source, group = item.name.split("/")
        found.setdefault(source, set()).add(group)
    return found


def changed(site: Site, file: dict[str, Any]) -> dict[str, str]:
    """What a plan would do to rules."""
    return {change.key: change.action for change in site.plan(file).changes if change.kind == "alert_rules"}


def test_from_nothing_to_nothing(cloud: Cloud) -> None:
    """Made after the token that opens the ruler, found as declared, gone before it; secrets are protected."""
    site = Site(cloud, KINDS)
    site.apply(FILE)
    assert groups(site) == {"lssm-prod-metrics": OURS}
    assert site.plan(FILE).changes == ()

    site.apply(WITHOUT)
    assert groups(site) == {}
    site.apply(FILE)
    site.apply(FILE, destroy=True)
    assert [kind for kind, items in site.look(FILE).items() if items] == ["secret"]


def test_drift_is_seen_and_mended(cloud: Cloud) -> None:
    """A limit that somebody raised, and a group that somebody removed; groups of others are left alone."""
    site = Site(cloud, KINDS)
    site.apply(FILE)
    lifecycle = AlertRulesLifecycle(cloud)
    declared = site.resources(FILE)["alert_rules.nodes"]
    rules = copy.deepcopy(declared.fields["rules"])
    rules["DiskFull"]["expr"] = rules["DiskFull"]["expr"].replace("0.95", "0.99")
    lifecycle.create(declared.model_copy(update={"fields": {"rules": rules}}))
    lifecycle.delete(site.one(FILE, "alert_rules.engine"))
    plan = site.plan(FILE)
    assert changed(site, FILE) == {"alert_rules.nodes": "update", "alert_rules.engine": "create"}
    (change,) = [change for change in plan.changes if change.key == "alert_rules.nodes"]
    assert [difference.path for difference in change.differences] == ["rules.DiskFull.expr"]

    site.apply(FILE)
    assert site.plan(FILE).changes == ()


def test_rules_about_products_go_to_scaleways_data_source(cloud: Cloud) -> None:
    """Its ruler is the only one that sees their metrics; what the file has none of needs no rule."""
    site = Site(cloud, KINDS)
    queues = FILE | {"sqs": {"queues": {"lssm/jobs": {}}, "credentials": {}}}
    resources = site.resources(queues)
    assert {key for key in resources if key.startswith("alert_rules.")} == {
        *(f"alert_rules.{name}" for name in OURS),
        "alert_rules.queues",
    }
    rules = resources["alert_rules.queues"]
    assert rules.name == "Scaleway Metrics/queues"
    assert "sqs.main" in rules.dependencies()
    site.apply(FILE)
    AlertRulesLifecycle(cloud).create(rules)
    assert groups(site)["Scaleway Metrics"] == {"queues"}
    assert changed(Site(cloud, (*KINDS, "sqs")), queues) == {}
    assert changed(site, FILE) == {"alert_rules.Scaleway Metrics/queues": "delete"}


def test_a_lost_answer_makes_no_second_one(cloud: Cloud, emulator: Control) -> None:
    """Setting a group again is setting it once."""
    site = Site(cloud, KINDS)
    site.apply(WITHOUT)
    wanted = site.resources(FILE)["alert_rules.nodes"]
    emulator.faults({"operation": "Cockpit SetRuleGroup", "kind": "response_lost"})
    lifecycle = AlertRulesLifecycle(cloud)
    with pytest.raises(Unavailable):
        lifecycle.create(wanted)
    assert lifecycle.create(wanted) == site.one(FILE, "alert_rules.nodes").id
    assert groups(site) == {"lssm-prod-metrics": {"nodes"}}


def test_without_a_token_there_is_nothing_to_see(cloud: Cloud) -> None:
    """And a data source that is not there yet is waited for."""
    lifecycle = AlertRulesLifecycle(cloud)
    assert list(lifecycle.list(NO_PARENT, Scope())) == []
    with pytest.raises(Busy):
        lifecycle.create(Site(cloud, KINDS).resources(FILE)["alert_rules.nodes"])


def test_an_apply_writes_each_group_once(cloud: Cloud, emulator: Control) -> None:
    """And the token is in nothing that a log keeps."""
    site = Site(cloud, KINDS)
    site.apply(FILE)
    asked = [entry for entry in emulator.requests()["requests"] if entry["operation"].startswith("Cockpit ")]
    assert sum(entry["operation"] == "Cockpit SetRuleGroup" for entry in asked) == len(OURS)
    secret = cloud.secrets.reveal({"$secret": "/lssm/prod", "name": "cockpit-rules", "field": "secret_key"})
    assert secret not in str(asked)
