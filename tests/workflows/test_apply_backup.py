"""What the section `backup` brings to an environment, and what stays when it goes."""

from __future__ import annotations

from typing import Any

from tests.workflows.house import House, small

BUCKETS: dict[str, Any] = {"shop/files": {}, "shop/backups": {}}
SCHEDULES = {"schedule.backup", "schedule.drill", "schedule.retention"}


def actions(home: House, data: dict[str, Any]) -> dict[str, str]:
    """What a plan does, by key."""
    return {change.key: change.action for change in home.plan(data).changes}


def test_the_section_comes_and_goes(home: House) -> None:
    """It brings a key, a policy and schedules and nothing else; what opens the backups outlives it."""
    before = small(buckets=BUCKETS)
    after = before | {"backup": {"bucket": "shop/backups"}}
    policy = f"bucket_policy.shop-{before['env']}-backups"
    home.apply(before)

    brings = {"secret.backup-key", policy, *SCHEDULES}
    planned = actions(home, after)
    assert {key for key, action in planned.items() if action == "create"} == brings
    assert set(planned) - brings == {"schedule.drift", "seal.buckets"}

    home.apply(after)
    assert not actions(home, after)

    home.apply(before)
    assert actions(home, before) == {"secret.backup-key": "held"}
