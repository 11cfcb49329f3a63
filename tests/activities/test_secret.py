"""Secrets against the local Scaleway."""

from __future__ import annotations

import base64
import string
from typing import Any

import pyrage
import pytest

from activities.cloud import Cloud
from activities.kinds.secret import SecretLifecycle, generate
from activities.lifecycle import NO_PARENT, Scope
from activities.secret_store import KEPT_VERSIONS
from blueprint.errors import SecretMissing, Unavailable
from blueprint.resource import Observed, Resource, secret
from tests.activities.conftest import Control, declared, differences

SECRETS = "/secret-manager/v1beta1/regions/fr-par/secrets"
VARIABLE = "SCALEWAY_INFRA_TEST_KEY"


def resource(source: dict[str, Any]) -> Resource:
    """A secret of the file, with that source."""
    return declared({"secrets": {"one": source}})["secret.one"]


def routing(model: str) -> Resource:
    """The LLM routing table with one route."""
    llm = {"providers": {"own": {"api_key": "one"}}, "routes": {"cheap": {"provider": "own", "model": model}}}
    return declared({"secrets": {"one": {"external": True}}, "llm": llm})["secret.llm-routing"]


def only(cloud: Cloud) -> Observed:
    """The one secret there is."""
    (item,) = SecretLifecycle(cloud).list(NO_PARENT, Scope())
    return item


def value(cloud: Cloud, name: str = "one") -> str:
    """What the secret holds."""
    return cloud.secrets.reveal(secret("/lssm/prod", name))


def step(cloud: Cloud, wanted: Resource) -> None:
    """What a create step does: look, then make."""
    lifecycle = SecretLifecycle(cloud)
    if not lifecycle.find(wanted):
        lifecycle.create(wanted)


def test_generated_once(cloud: Cloud) -> None:
    """The value is there when the step is done, and the next run leaves it alone."""
    wanted = resource({"generate": 48})

    step(cloud, wanted)
    first = value(cloud)
    step(cloud, wanted)

    assert len(first) == 48
    assert value(cloud) == first
    assert not differences(wanted, only(cloud))
    assert only(cloud).protected


def test_identity_of_the_backups(cloud: Cloud) -> None:
    """An age identity that opens what was encrypted for it; no apply ever makes another one."""
    wanted = declared({"buckets": {"acme/backups": {}}, "backup": {"bucket": "acme/backups"}})["secret.backup-key"]

    step(cloud, wanted)
    first = value(cloud, "backup-key")
    step(cloud, wanted)
    SecretLifecycle(cloud).update(wanted, only(cloud), ())

    assert value(cloud, "backup-key") == first
    assert not differences(wanted, only(cloud))
    identity = pyrage.x25519.Identity.from_str(first)
    assert pyrage.decrypt(pyrage.encrypt(b"dump", [identity.to_public()]), [identity]) == b"dump"


@pytest.mark.parametrize("lost", [SECRETS, f"{SECRETS}/*/versions"], ids=["the place", "the value"])
def test_interrupted(cloud: Cloud, emulator: Control, lost: str) -> None:
    """Wherever an attempt ends, the next one leaves one secret with one version."""
    wanted = resource({"generate": 48})

    emulator.faults({"operation": f"POST {lost}", "kind": "response_lost"})
    with pytest.raises(Unavailable):
        step(cloud, wanted)
    step(cloud, wanted)

    item = only(cloud)
    assert not differences(wanted, item)
    assert len(value(cloud)) == 48
    assert emulator.call("GET", f"{SECRETS}/{item.id}")["version_count"] == 1


def test_emptied_place_is_filled(cloud: Cloud, emulator: Control) -> None:
    """A place of ours without a value is a difference, and an update cures it."""
    wanted = resource({"generate": 48})
    tags = cloud.names.tags
    emulator.call("POST", SECRETS, {"name": "one", "path": "/lssm/prod", "tags": tags, "protected": True})

    item = only(cloud)
    changed = differences(wanted, item)
    assert {difference.path for difference in changed} == {"filled", "protected"}
    SecretLifecycle(cloud).update(wanted, item, changed)

    assert not differences(wanted, only(cloud))
    assert len(value(cloud)) == 48


def test_environment_variable(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new value is a difference and becomes a new version; the plan tells it without the value in it."""
    lifecycle, wanted = SecretLifecycle(cloud), resource({"env": VARIABLE})

    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(SecretMissing, match=VARIABLE):
        step(cloud, wanted)
    assert not lifecycle.find(wanted)

    monkeypatch.setenv(VARIABLE, "planted-first-value")
    step(cloud, wanted)
    assert not differences(wanted, only(cloud))

    monkeypatch.setenv(VARIABLE, "planted-second-value")
    item = only(cloud)
    changed = differences(wanted, item)
    assert [difference.path for difference in changed] == ["current"]
    assert "planted" not in item.model_dump_json()
    lifecycle.update(wanted, item, changed)
    assert value(cloud) == "planted-second-value"
    assert not differences(wanted, only(cloud))

    monkeypatch.delenv(VARIABLE)
    assert not differences(wanted, only(cloud)), "a worker without the variable leaves the value alone"


def test_update_that_lost_its_answer(cloud: Cloud, emulator: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeating it adds no second version of the same value."""
    lifecycle, wanted = SecretLifecycle(cloud), resource({"env": VARIABLE})
    monkeypatch.setenv(VARIABLE, "first-value")
    step(cloud, wanted)
    monkeypatch.setenv(VARIABLE, "second-value")
    item = only(cloud)

    emulator.faults({"operation": f"POST {SECRETS}/*/versions", "kind": "response_lost"})
    with pytest.raises(Unavailable):
        lifecycle.update(wanted, item, ())
    lifecycle.update(wanted, item, ())

    assert emulator.call("GET", f"{SECRETS}/{item.id}")["version_count"] == 2
    assert not differences(wanted, only(cloud))


def test_from_one_source_to_another(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The value stays until the new source has one of its own."""
    monkeypatch.setenv(VARIABLE, "from-the-variable")
    step(cloud, resource({"generate": 48}))

    for source in ({"env": VARIABLE}, {"generate": 20}, {"external": True}):
        wanted = resource(source)
        item = only(cloud)
        SecretLifecycle(cloud).update(wanted, item, differences(wanted, item))
        assert not differences(wanted, only(cloud))
        assert value(cloud) == "from-the-variable"


def test_external(cloud: Cloud, emulator: Control) -> None:
    """An empty place that says so, and is left alone once a person has filled it."""
    wanted = resource({"external": True})

    step(cloud, wanted)
    item = only(cloud)
    assert (item.status, item.health) == ("empty", "ok")
    with pytest.raises(SecretMissing):
        value(cloud)

    data = base64.b64encode(b"by-hand").decode()
    emulator.call("POST", f"{SECRETS}/{item.id}/versions", {"data": data})
    assert only(cloud).status == "ready"
    assert not differences(wanted, only(cloud))


def test_content(cloud: Cloud) -> None:
    """Another routing table is another version; the same is none."""
    step(cloud, routing("small"))
    item = only(cloud)
    assert not differences(routing("small"), item)

    changed = differences(routing("large"), item)
    assert [difference.path for difference in changed] == ["digest"]
    SecretLifecycle(cloud).update(routing("large"), item, changed)

    assert '"model": "large"' in value(cloud, "llm-routing")
    assert not differences(routing("large"), only(cloud))


def test_old_versions_are_pruned(cloud: Cloud, emulator: Control) -> None:
    """Secret Manager takes 20 versions: the newest few are kept, and only one of them can be read."""
    step(cloud, resource({"external": True}))
    for number in range(25):
        cloud.secrets.store("/lssm/prod", "one", f"value-{number}")

    versions = emulator.call("GET", f"{SECRETS}/{only(cloud).id}/versions", query={"page_size": 100})["versions"]
    kept = [version for version in versions if version["status"] != "scheduled_for_deletion"]
    assert len(kept) == KEPT_VERSIONS
    assert [version["status"] for version in kept].count("enabled") == 1
    assert value(cloud) == "value-24"


def test_delete(cloud: Cloud, emulator: Control) -> None:
    """Its own protection is lifted by whoever may delete it, and a repeated attempt finds nothing to do."""
    lifecycle, wanted = SecretLifecycle(cloud), resource({"external": True})
    step(cloud, wanted)
    item = only(cloud)

    emulator.faults({"operation": f"DELETE {SECRETS}/*", "kind": "response_lost"})
    with pytest.raises(Unavailable):
        lifecycle.delete(item)
    lifecycle.delete(item)

    assert not lifecycle.find(wanted)


def test_made_by_hand_is_foreign(cloud: Cloud, emulator: Control) -> None:
    """And is not filled, even if it is empty."""
    emulator.call("POST", SECRETS, {"name": "one", "path": "/lssm/prod", "protected": False})

    (found,) = SecretLifecycle(cloud).find(resource({"generate": 48}))

    assert found.ownership == "foreign"
    assert only(cloud).status == "empty"


def test_one_list_tells_all(cloud: Cloud, emulator: Control) -> None:
    """However many secrets there are, looking at them costs a request for each hundred."""
    for number in range(105):
        body = {"name": f"s{number}", "path": "/lssm/prod", "tags": cloud.names.tags, "protected": False}
        emulator.call("POST", SECRETS, body)
    before = emulator.requests()["total"]

    assert len(list(SecretLifecycle(cloud).list(NO_PARENT, Scope()))) == 105
    assert emulator.requests()["total"] - before == 2


def test_generated_values_suit_every_password_rule() -> None:
    """A letter of each case, a digit and a symbol, and nothing that a URL would have to escape."""
    values = {generate(16) for _ in range(200)}

    assert len(values) == 200
    for text in values:
        for needed in (string.ascii_lowercase, string.ascii_uppercase, string.digits, "-_.~"):
            assert set(text) & set(needed)
