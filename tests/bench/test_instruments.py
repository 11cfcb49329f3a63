"""What the measurements measure with can tell good from bad."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from bench.emulator import by_product
from bench.secrets_search import spellings
from bench.state import differences, normalised

LB = "00000000-0000-4000-8000-00000000000a"
FRONTEND = "00000000-0000-4000-8000-00000000000b"


def world(**tables: list[dict[str, Any]]) -> dict[str, Any]:
    """A snapshot with these tables, written with a dash for the dot."""
    return {"world": {"tables": {name.replace("_", "."): {row["id"]: row for row in t} for name, t in tables.items()}}}


def two_objects(
    lb: str = LB, port: int = 443, at: str = "2026-07-21T10:18:52.123456Z", address: str = "51.15.1.2"
) -> Any:
    """A load balancer and its frontend."""
    return normalised(
        world(
            lb_lbs=[{"id": lb, "name": "lb", "created_at": at, "ip": address}],
            lb_frontends=[{"id": FRONTEND, "name": "https", "lb_id": lb, "port": port}],
        )
    )


def test_ids_times_and_addresses_do_not_count() -> None:
    """Two worlds that differ in what chance decides are the same."""
    other = two_objects("00000000-0000-4000-8000-0000000000ff", at="2027-01-01T00:00:00.000000Z", address="51.158.3.4")

    assert differences(two_objects(), other) == []


def test_a_value_counts() -> None:
    """A field of another value is told, by its path."""
    assert differences(two_objects(), two_objects(port=80)) == ["lb.frontends: port: 443 expected, 80 found"]


def test_a_duplicate_counts() -> None:
    """An object that is there twice is one too many."""
    twice = world(vpc_vpcs=[{"id": LB, "name": "vpc"}, {"id": FRONTEND, "name": "vpc"}])
    (line,) = differences(normalised(world(vpc_vpcs=[{"id": LB, "name": "vpc"}])), normalised(twice))

    assert line.startswith("vpc.vpcs: too many")


def test_what_an_object_points_at_counts() -> None:
    """A reference to another object of the same kind is a difference, although both are ids."""
    rows = [{"id": LB, "name": "one"}, {"id": FRONTEND, "name": "two"}]
    first, second = (
        normalised(world(lb_lbs=rows, lb_acls=[{"id": "acl", "lb_id": target}])) for target in (LB, FRONTEND)
    )

    assert differences(first, second) == ['lb.acls: lb_id: "<lb.lbs one>" expected, "<lb.lbs two>" found']


@pytest.mark.parametrize(
    "written",
    [
        lambda value: value,
        lambda value: json.dumps({"password": value}),
        lambda value: json.dumps({"password": value}, ensure_ascii=False),
        lambda value: json.dumps({"body": json.dumps({"password": value})}),
        lambda value: base64.b64encode(f"x{value}y".encode()).decode(),
        lambda value: base64.b64encode(f"xy{value}z".encode()).decode(),
    ],
)
def test_a_secret_is_found_however_it_is_written(written: Any) -> None:
    """In JSON, in JSON in JSON, and in the middle of base64."""
    value = 'a1b2c3"/\\é&d4e5f6'

    assert any(form in written(value).encode() for form in spellings(value))


def test_requests_are_counted_by_product() -> None:
    """Paths by their first word, data planes by their name."""
    assert by_product({"GET /vpc/v2/regions/{region}/vpcs": 2, "S3 ListBuckets": 1, "POST /lb/v1/x": 1}) == {
        "vpc": 2,
        "s3": 1,
        "lb": 1,
    }
