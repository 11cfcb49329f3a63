"""Lists of a bucket against a model: every page size, prefix and delimiter shows the same, once, in order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from emulator.dataplane.s3.listing import behind
from tests.emulator.conftest import Api, running
from tests.emulator.planes import refusal, s3

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

KEYS = ["a", "a/", "a/b", "a/b/c", "a/b/d", "a/ü", "a0", "b//", "b//c", "b/\U0001f600", "b/￿", "c d+e%", "ä/x", "ä/y"]
PREFIXES = ("", "a", "a/", "a/b", "b/", "ä", "z")
PAGES = (1, 2, 3, 1000)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """One emulator with one bucket of `KEYS`, each written twice, one deleted, one written and deleted."""
    with running() as fresh:
        client = s3(fresh)
        client.create_bucket(Bucket="ours")
        client.put_bucket_versioning(Bucket="ours", VersioningConfiguration={"Status": "Enabled"})
        for key in random.Random(0).sample(KEYS + KEYS, 2 * len(KEYS)):
            client.put_object(Bucket="ours", Key=key, Body=key.encode())
        client.put_object(Bucket="ours", Key="a/gone", Body=b"")
        client.delete_object(Bucket="ours", Key="a/gone")
        yield fresh


def in_order(keys: list[str]) -> list[str]:
    """As S3 orders keys: by their UTF-8."""
    return sorted(keys, key=str.encode)


def folded(keys: list[str], prefix: str, delimiter: str) -> tuple[list[str], list[str]]:
    """What a list must show: keys, and prefixes that stand for the rest."""
    shown, prefixes = [], dict[str, None]()
    for key in in_order(keys):
        if not key.startswith(prefix):
            continue
        head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
        if found:
            prefixes[prefix + head + delimiter] = None
        else:
            shown.append(key)
    return shown, list(prefixes)


def pages(client: S3Client, operation: str, most: int, **arguments: Any) -> list[dict[str, Any]]:
    """Every page."""
    config = {"PageSize": most}
    paginator: Any = client.get_paginator(operation)  # type: ignore[call-overload]
    return list(paginator.paginate(Bucket="ours", PaginationConfig=config, **arguments))


def named(found: list[dict[str, Any]], field: str, name: str = "Key") -> list[str]:
    """One field of the entries on all pages."""
    return [item[name] for page in found for item in page.get(field, [])]


@pytest.mark.parametrize("operation", ["list_objects_v2", "list_objects"])
@pytest.mark.parametrize("delimiter", ["", "/", "b/", "ü"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_objects(api: Api, operation: str, delimiter: str, prefix: str) -> None:
    """Keys and prefixes, a page at a time."""
    client = s3(api)
    for most in PAGES:
        found = pages(client, operation, most, Prefix=prefix, Delimiter=delimiter)
        assert (named(found, "Contents"), named(found, "CommonPrefixes", "Prefix")) == folded(KEYS, prefix, delimiter)
        assert all(len(page.get("Contents", [])) + len(page.get("CommonPrefixes", [])) <= most for page in found)


@pytest.mark.parametrize("delimiter", ["", "/"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_versions(api: Api, delimiter: str, prefix: str) -> None:
    """Every version of every key, the newest first, and delete markers between them."""
    client = s3(api)
    everything = [key for key in KEYS for _ in range(2)] + ["a/gone"]
    for most in PAGES:
        found = pages(client, "list_object_versions", most, Prefix=prefix, Delimiter=delimiter)
        assert (named(found, "Versions"), named(found, "CommonPrefixes", "Prefix")) == folded(
            everything, prefix, delimiter
        )
        markers = [] if delimiter and prefix in ("", "a") else ["a/gone"]
        assert named(found, "DeleteMarkers") == [key for key in markers if key.startswith(prefix)]
        versions = [item for page in found for item in page.get("Versions", []) if item["Key"] != "a/gone"]
        for newer, older in pairwise(versions):
            if newer["Key"] == older["Key"]:
                assert (newer["IsLatest"], older["IsLatest"]) == (True, False)
                assert newer["LastModified"] >= older["LastModified"]


def test_where_a_list_begins(api: Api) -> None:
    """Markers need not be keys."""
    client = s3(api)
    for start in ("a", "a/a", "b/", "zz"):
        found = client.list_objects_v2(Bucket="ours", StartAfter=start)
        assert [item["Key"] for item in found.get("Contents", [])] == [k for k in in_order(KEYS) if k > start]
    found = client.list_objects_v2(Bucket="ours", MaxKeys=1, FetchOwner=True)
    assert (found["KeyCount"], found["IsTruncated"], found["Contents"][0]["Owner"]["ID"].count(":")) == (1, True, 1)
    assert client.list_objects_v2(Bucket="ours", MaxKeys=0)["IsTruncated"] is False
    assert refusal(client.list_objects_v2, Bucket="ours", ContinuationToken="&") == (400, "InvalidArgument")
    assert refusal(client.list_object_versions, Bucket="ours", KeyMarker="a", VersionIdMarker="no") == (
        400,
        "InvalidArgument",
    )


@pytest.mark.parametrize(
    ("prefix", "least"),
    [("", ""), ("a", "b"), ("a/", "a0"), ("a\U0010ffff", "b"), ("\ud7ff", "\ue000"), ("\U0010ffff", "")],
)
def test_behind_a_prefix(prefix: str, least: str) -> None:
    """The least string behind all that begin so."""
    assert behind(prefix) == least
