"""References between resources: found however deep, resolved, and refused where they lead nowhere."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from blueprint.errors import MissingReference
from blueprint.resource import Observed, Resource, ref, references, resolve, resolve_known, secret

VALUE = {"a": [ref("vpc.main"), {"b": ref("lb_ip.ipv4", "address")}], "c": secret("/lssm/prod", "redis"), "d": ["x", 1]}


def test_found_however_deep() -> None:
    """In mappings, lists and tuples; a secret's place is no reference."""
    assert [found["$ref"] for found in references([VALUE, (ref("z"),)])] == ["vpc.main", "lb_ip.ipv4", "z"]


def test_resolved() -> None:
    """Every reference is replaced and the rest stays, secrets' places too: those only an activity reads."""
    assert resolve(VALUE, lambda key, output: f"{key}:{output}") == {
        "a": ["vpc.main:id", {"b": "lb_ip.ipv4:address"}],
        "c": secret("/lssm/prod", "redis"),
        "d": ["x", 1],
    }
    outputs: dict[str, dict[str, Any]] = {"vpc.main": {"id": "1"}, "lb_ip.ipv4": {"address": None}}
    assert resolve_known(VALUE, outputs, "x")["a"] == ["1", {"b": None}]


@pytest.mark.parametrize("outputs", [{}, {"vpc.main": {}}])
def test_into_nowhere(outputs: dict[str, dict[str, str]]) -> None:
    """Who needs what of whom, and what to do."""
    with pytest.raises(MissingReference) as refused:
        resolve_known(ref("vpc.main"), outputs, "lb.main")
    assert str(refused.value).startswith("lb.main: needs 'id' of vpc.main, which is not known -> ")


def test_what_crosses_a_border_is_strict() -> None:
    """Unknown keys are refused, and nothing is changed in place."""
    with pytest.raises(ValidationError):
        Observed.model_validate({"kind": "vpc", "name": "a", "id": "1", "colour": "red"})
    with pytest.raises(ValidationError):
        Resource(key="a", kind="vpc", name="a").name = "b"
