"""Which secrets a file asks for, and where their values come from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from blueprint.environment import parse
from blueprint.environment.checks.identity import engine_secrets
from blueprint.graph import resources_of
from blueprint.planner import make_plan
from blueprint.resource import Observed, Resource

MINIMAL: dict[str, Any] = {"org": "lssm", "env": "prod", "network": {"cidr": "10.0.0.0/24"}}
LLM: dict[str, Any] = {
    "applications": {"backend": {"api_key": True}},
    "secrets": {"premium-key": {"external": True}},
    "llm": {
        "providers": {
            "own": {"api_key": "backend-api-key"},
            "premium": {"base_url": "https://api.example.org/v1", "api_key": "premium-key"},
        },
        "routes": {"cheap": {"provider": "own", "model": "small"}, "code": {"provider": "premium", "model": "large"}},
    },
}


def secrets(snippet: dict[str, Any]) -> dict[str, Resource]:
    """The secrets of a file, by name."""
    found = resources_of(parse(MINIMAL | snippet))
    return {resource.name: resource for resource in found if resource.kind == "secret"}


@pytest.mark.parametrize(
    ("source", "fields", "inputs"),
    [
        ({"generate": 48}, {"description": "", "filled": True}, {"generate": 48}),
        (
            {"env": "STRIPE_KEY"},
            {"description": "", "filled": True, "variable": "STRIPE_KEY", "current": True},
            {},
        ),
        ({"external": True, "description": "By hand"}, {"description": "By hand"}, {}),
    ],
)
def test_declared(source: dict[str, Any], fields: dict[str, Any], inputs: dict[str, Any]) -> None:
    """Each source says what has to be true of the secret; no value stands in a resource."""
    resource = secrets({"secrets": {"one": source}})["one"]

    assert (resource.key, resource.fields, resource.inputs) == ("secret.one", fields, inputs)
    assert resource.protected


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGNLLS+fff+KI2famqoCS4BgHPhndTisOgqjpq9CNPm"


def test_made_by_the_engine() -> None:
    """Every secret that the file's other sections need is there, and the file's own may not take its name."""
    snippet = LLM | {
        "postgresql": {"databases": ["shop"]},
        "redis": {},
        "sqs": {"credentials": {"backend": ["publish"]}},
        "monitoring": {"tokens": {"backend": ["write_only_logs"]}},
        "app": {"repository": "https://git.example.org/backend.git"},
        "network": {"cidr": "10.0.0.0/24", "gateway": {"bastion": {"allowed": ["203.0.113.0/24"]}}},
        "ssh_keys": {"ops": KEY},
        "nodes": {"core": {}},
        "buckets": {"shop/backups": {}},
        "backup": {"bucket": "shop/backups"},
    }
    found = secrets(snippet)

    assert set(found) - {"premium-key"} == set(engine_secrets(parse(MINIMAL | snippet)))
    generated = {name for name, resource in found.items() if "generate" in resource.inputs}
    assert generated == {"postgresql-lssm-prod-admin", "postgresql-shop", "redis"}
    assert found["backup-key"].inputs == {"identity": "age"}
    produced = {name for name, resource in found.items() if "filled" not in resource.fields}
    told = {"backend-api-key", "sqs-engine", "sqs-backend", "cockpit-backend", "ssh-bastion-host-key"}
    assert produced == told | {"premium-key"}


@pytest.mark.parametrize(
    ("snippet", "there"),
    [
        ({"app": {"repository": "https://git.example.org/backend.git"}}, True),
        ({"backup": {"bucket": "shop/backups"}, "postgresql": {"databases": ["shop"]}}, True),
        ({"backup": {"bucket": "shop/backups"}}, False),
        ({"postgresql": {"databases": ["shop"]}}, False),
    ],
)
def test_the_bastions_host_key_has_a_place_wherever_the_engine_logs_in(snippet: dict[str, Any], there: bool) -> None:
    """To release, or to back up a database; without a place for the key, the first login fails for good."""
    ways = {
        "network": {"cidr": "10.0.0.0/24", "gateway": {"bastion": {"allowed": ["203.0.113.0/24"]}}},
        "ssh_keys": {"ops": KEY},
        "nodes": {"core": {}},
        "buckets": {"shop/backups": {}},
    }

    assert ("ssh-bastion-host-key" in secrets(ways | snippet)) is there


def test_llm_routing_table() -> None:
    """Use case -> API, model and the place of the key, never the key; another table is another digest."""
    resource = secrets(LLM)["llm-routing"]

    assert json.loads(resource.inputs["content"]) == {
        "routes": {
            "cheap": {
                "provider": "own",
                "base_url": "https://api.scaleway.ai/v1",
                "model": "small",
                "api_key": {"path": "/lssm/prod", "name": "backend-api-key", "field": "secret_key"},
            },
            "code": {
                "provider": "premium",
                "base_url": "https://api.example.org/v1",
                "model": "large",
                "api_key": {"path": "/lssm/prod", "name": "premium-key", "field": None},
            },
        }
    }
    other = LLM | {"llm": LLM["llm"] | {"routes": {"cheap": {"provider": "own", "model": "smaller"}}}}
    assert secrets(other)["llm-routing"].fields["digest"] != resource.fields["digest"]


def test_removed_from_the_file_it_stays() -> None:
    """A secret is deleted only if the file says so by name."""
    item = Observed(kind="secret", name="old", id="1", protected=True)

    (held,) = make_plan("lssm-prod", [], [item]).changes
    assert held.action == "held"
