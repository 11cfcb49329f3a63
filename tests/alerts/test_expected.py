"""Rules expect what the environment's file declares: its nodes, and its own clocks."""

from __future__ import annotations

import re
from typing import Any

import pytest

from blueprint import alerts
from blueprint.backup.catalogue import is_drilled
from blueprint.graph import resources_of
from tests.alerts.declared import declared

HOUR = 3600
RUN, CLOCKS = HOUR, HOUR
"""What a run may take, and what a night has more once a year."""
CHECKS = {"HealthFailing", "CertificateExpiring"}
METRICS = {"type": "metrics"}


def expressions(**changes: Any) -> dict[str, str]:
    """What rules of the file ask for."""
    return {alert: rule["expr"] for group in alerts.groups(declared(**changes)) for alert, rule in group.rules.items()}


def limit(expression: str) -> float:
    """What a value is compared with."""
    return float(expression.split(" > ")[1].split()[0])


def asked(node: str) -> str:
    """What is asked about a node."""
    return f'absent(system_uptime_seconds{{environment="lssm-prod", host_name="{node}"}})'


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ({"core": {"count": 1}}, ["lssm-prod-core-01"]),
        ({"core": {"count": 2}}, ["lssm-prod-core-01", "lssm-prod-core-02"]),
        ({"core": {"count": 1}, "jobs": {"count": 1}}, ["lssm-prod-core-01", "lssm-prod-jobs-01"]),
        ({"core": {"count": 0}}, []),
    ],
    ids=["one", "two", "roles", "none"],
)
def test_nodes_are_those_of_the_file(nodes: dict[str, Any], expected: list[str]) -> None:
    """One that is not there any more is asked about no longer, and the name is the one that its agent tells."""
    assert expressions(nodes=nodes).get("NodeDown", "") == " or ".join(asked(node) for node in expected)
    told = {
        resource.fields["env_file"]["values"]["NODE_NAME"][0]
        for resource in resources_of(declared(nodes=nodes))
        if resource.kind == "node_agent"
    }
    assert told == set(expected)


@pytest.mark.parametrize(
    "agent", [None, {"token": "nodes", "metrics": "others", "logs": "logs"}], ids=["no agent", "to another data source"]
)
def test_silence_of_nodes_that_are_not_heard_there_means_nothing(agent: dict[str, Any] | None) -> None:
    """A ruler sees its own data source only: it would ring for ever. What nodes do tell is judged all the same."""
    monitoring = declared().model_dump(mode="json")["monitoring"]
    sources = monitoring["data_sources"] | {"others": METRICS}
    found = expressions(monitoring=monitoring | {"data_sources": sources, "agent": agent})
    assert "NodeDown" not in found
    assert "DiskFull" in found


def test_a_new_node_is_expected_once_its_agent_is_there() -> None:
    """The other rules wait for no node."""
    waits = {
        resource.name: {key for key in resource.dependencies() if key.startswith("node_agent.")}
        for resource in resources_of(declared())
        if resource.kind == "alert_rules"
    }
    assert waits.pop("lssm-prod-metrics/nodes") == {"node_agent.core-01", "node_agent.core-02"}
    assert waits
    assert not any(waits.values())


@pytest.mark.parametrize(
    ("clock", "seconds"),
    [
        ({"cron": "30 1 * * *"}, 24 * HOUR + CLOCKS),
        ({"cron": "30 1 * * *", "jitter": "10m"}, 24 * HOUR + CLOCKS + 600),
        ({"cron": "0 1 * * 1-5"}, 72 * HOUR + CLOCKS),
        ({"cron": "0 1 1 * *"}, 31 * 24 * HOUR + CLOCKS),
        ({"every": "6h"}, 6 * HOUR),
        ({"every": "7d", "jitter": "1h"}, 169 * HOUR),
        ({"every": "90.5s"}, 91),
    ],
    ids=str,
)
def test_limits_follow_from_schedules(clock: dict[str, Any], seconds: float) -> None:
    """From one run to the next at most, and the time that a run may take."""
    found = expressions(
        schedules=dict.fromkeys(("drift", "health", "backup"), clock),
        # Late is never what the schedule lets pass.
        backup={"bucket": "lssm/backups", "late_after": max(26 * HOUR, seconds + 1)},
    )
    drift, health = found["LookMissing"].split(" or ")
    assert 'operation="drift"' in drift
    assert 'operation="health"' in health
    assert {limit(drift), limit(health), limit(found["BackupLate"])} == {seconds + RUN}


def test_a_file_may_give_its_backups_more_time() -> None:
    """They may take hours. To give them less is the report's affair: it looks when one has just been made."""
    by_schedule = 24 * HOUR + 600 + CLOCKS + RUN
    for late_after, seconds in (("30h", 30 * HOUR), ("25h", by_schedule)):
        found = expressions(backup={"bucket": "lssm/backups", "late_after": late_after})
        assert limit(found["BackupLate"]) == seconds


def test_a_drill_may_try_a_backup_that_is_as_old_as_any() -> None:
    """So both limits count."""
    found = expressions(schedules={"drill": {"every": "3d"}, "backup": {"every": "6h"}})
    assert limit(found["BackupUndrilled"]) == 72 * HOUR + RUN + limit(found["BackupLate"])


@pytest.mark.parametrize("asset", ["db/equitya", "bucket/equitya-prod-files", "instance/db-lssm-prod", "environment"])
def test_what_no_drill_tries_is_never_missed(asset: str) -> None:
    """The rule knows which those are."""
    [tried] = re.findall(r'asset=~"(.+?)"', expressions()["BackupUndrilled"])
    assert bool(re.fullmatch(tried, asset)) == is_drilled(asset)


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({"schedules": {"backup": None}}, {"BackupLate", "BackupUndrilled"}),
        ({"schedules": {"drill": None}}, {"BackupUndrilled"}),
        ({"backup": None}, {"BackupFinding", "BackupLate", "BackupUndrilled"}),
        ({"schedules": {"drift": None, "health": None}}, {"LookMissing", *CHECKS}),
        ({"schedules": {"drift": None}, "health": None}, {"LookMissing", *CHECKS}),
        ({"schedules": {"health": None}}, CHECKS),
        ({"schedules": {"drift": {"cron": "0 6 30 2 *"}, "health": None}}, {"LookMissing", *CHECKS}),
    ],
    ids=["no backups", "no drills", "no section", "no looks", "nothing to look at", "no checks", "30th of February"],
)
def test_what_no_schedule_does_is_not_missed(changes: dict[str, Any], gone: set[str]) -> None:
    """Nor does it ring for ever for what was found last: the rule is not there."""
    assert expressions().keys() - expressions(**changes).keys() == gone


def test_a_group_without_rules_is_not_there() -> None:
    """Rather than to be made empty."""
    found = {group.name for group in alerts.groups(declared(backup=None, health=None))}
    assert {group.name for group in alerts.groups(declared())} - found == {"backups", "health"}


@pytest.mark.parametrize(("gone", "left"), [("drift", "health"), ("health", "drift")])
def test_one_look_may_be_missed_without_the_other(gone: str, left: str) -> None:
    """Each by its own schedule."""
    expression = expressions(schedules={gone: None})["LookMissing"]
    assert f'operation="{left}"' in expression
    assert gone not in expression
