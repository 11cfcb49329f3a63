"""Secret Manager as the engine uses it: values in and out by reference, versions that do not pile up."""

from __future__ import annotations

import pytest
from scaleway.secret.v1beta1 import Secret, SecretV1Beta1API

from activities.cloud import Cloud
from activities.secret_store import KEPT_VERSIONS, SecretStore, mark_of, remember, watch_for_secrets, with_mark
from blueprint.errors import SecretMissing
from blueprint.resource import secret
from tests.activities.conftest import Control

PATH = "/lssm/prod"


@pytest.fixture
def store(cloud: Cloud) -> SecretStore:
    """Of a project without secrets."""
    return cloud.secrets


@pytest.fixture
def place(cloud: Cloud) -> Secret:
    """A secret without a value."""
    return made(cloud, "redis")


def made(cloud: Cloud, name: str, path: str = PATH) -> Secret:
    """A secret without a value."""
    return cloud.api(SecretV1Beta1API).create_secret(
        name=name, path=path, project_id=cloud.project_id, protected=False, tags=["t"]
    )


def test_the_newest_value(store: SecretStore, place: Secret) -> None:
    """What was stored last is what a reference stands for, and its note is the version's."""
    store.store(PATH, "redis", "first", note="1")
    store.store(PATH, "redis", "sécond", note="2")
    assert store.reveal(secret(PATH, "redis")) == "sécond"
    assert store.version_note(PATH, "redis") == "2"
    assert store.filled(PATH) == {"redis"}


def test_a_field_of_json(store: SecretStore, place: Secret) -> None:
    """A secret that holds several values gives one, and all of them are watched for."""
    store.store(PATH, "redis", '{"access_key": "SCW123", "secret_key": "abcd-1234"}')
    seen = watch_for_secrets()
    assert store.reveal(secret(PATH, "redis", "secret_key")) == "abcd-1234"
    assert seen == {"SCW123", "abcd-1234"}


@pytest.mark.parametrize("value", ["not json", '"text"', "[1]", '{"other": "hidden-value"}'])
def test_a_field_that_is_not_there(store: SecretStore, place: Secret, value: str) -> None:
    """The error names place and field, and holds nothing of the value."""
    store.store(PATH, "redis", value)
    with pytest.raises(SecretMissing) as missing:
        store.reveal(secret(PATH, "redis", "password"))
    assert str(missing.value).startswith("/lssm/prod/redis: lacks the field 'password'")
    assert "hidden-value" not in str(missing.value)


def test_no_value_yet(store: SecretStore, place: Secret) -> None:
    """An empty place and one that does not exist are both a missing secret, with a way out."""
    for name in ("redis", "nothing"):
        with pytest.raises(SecretMissing, match=rf"/lssm/prod/{name}: has no value -> add a version"):
            store.reveal(secret(PATH, name))
        assert store.version_note(PATH, name) is None
    with pytest.raises(SecretMissing, match="does not exist"):
        store.store(PATH, "nothing", "value")
    assert store.filled(PATH) == frozenset()


def test_found_by_the_whole_name(cloud: Cloud, store: SecretStore) -> None:
    """Neither a longer name nor another folder answers."""
    made(cloud, "redis-2")
    made(cloud, "redis", "/lssm/stg")
    assert store.find(PATH, "redis") is None
    assert [item.name for item in store.all(PATH)] == ["redis-2"]


def test_all_pages(cloud: Cloud, store: SecretStore, emulator: Control) -> None:
    """More than a page of secrets is read to the end, one request a page."""
    for number in range(101):
        made(cloud, f"s{number:03d}")
    before = emulator.requests()["total"]
    assert len(store.all(PATH)) == 101
    assert emulator.requests()["total"] - before == 2


def test_old_versions_go(cloud: Cloud, store: SecretStore, place: Secret) -> None:
    """Secret Manager takes twenty: only the newest stay, the last one enabled, the others disabled."""
    for number in range(KEPT_VERSIONS + 20):
        store.store(PATH, "redis", f"value {number}")
    api = cloud.api(SecretV1Beta1API)
    versions = api.list_secret_versions(secret_id=place.id, page_size=100).versions
    kept = [version for version in versions if version.status in ("enabled", "disabled")]
    assert len(kept) <= KEPT_VERSIONS + 1
    assert [version.status for version in kept] == ["enabled", *["disabled"] * (len(kept) - 1)]
    assert store.reveal(secret(PATH, "redis")) == f"value {KEPT_VERSIONS + 19}"


def test_deliveries(store: SecretStore, place: Secret) -> None:
    """A password counts as handed over until it has a newer version."""
    store.store(PATH, "redis", "first")
    assert store.delivered(PATH) == frozenset()
    store.note_delivery(PATH, "redis")
    assert store.delivered(PATH) == {"redis"}
    store.store(PATH, "redis", "second")
    assert store.delivered(PATH) == frozenset()
    found = store.find(PATH, "redis")
    assert found is not None
    assert "t" in found.tags


def test_references_are_resolved_however_deep(store: SecretStore, place: Secret) -> None:
    """Every place becomes its value, and the rest stays."""
    store.store(PATH, "redis", "value")
    here = secret(PATH, "redis")
    assert store.resolve({"a": [here, {"b": here}], "c": 1}) == {"a": ["value", {"b": "value"}], "c": 1}


def test_what_is_watched_for() -> None:
    """Values, but none so short that hiding it would mutilate every text; nothing before an activity begins."""
    seen = watch_for_secrets()
    assert [remember(value) for value in ("abcd", "abc", "")] == ["abcd", "abc", ""]
    assert seen == {"abcd"}


def test_marks() -> None:
    """One value for each name; other tags stay as they are."""
    tags = with_mark(["a", "env=OLD", "environment=x"], "env", "NEW")
    assert tags == ["a", "environment=x", "env=NEW"]
    assert mark_of(tags, "env") == "NEW"
    assert mark_of(tags, "digest") is None
    assert mark_of(["env=a=b"], "env") == "a=b"
