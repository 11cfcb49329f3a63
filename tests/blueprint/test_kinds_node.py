"""What an application asks of its nodes, and in what order nodes join and leave."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from blueprint.environment import parse, read
from blueprint.errors import EnvironmentFileError
from blueprint.graph import resources_of
from blueprint.kinds.instance import digest
from blueprint.kinds.node import release_id
from blueprint.kinds.rdb import IN_SECRET_MANAGER
from blueprint.plan import Plan
from blueprint.planner import Wishes, make_destroy_plan, make_plan
from blueprint.resource import Observed, Resource, ref, resolve, secret

ROOT = Path(__file__).resolve().parents[2]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGNLLS+fff+KI2famqoCS4BgHPhndTisOgqjpq9CNPm"

WAY_IN = ("gateway_bastion.main", "secret.ssh-bastion-host-key")
"""Without these nobody gets to a node."""


def file(app: dict[str, Any] | None = None, *, count: int = 1, **sections: Any) -> dict[str, Any]:
    """An environment with an application."""
    return {
        "org": "lssm",
        "env": "prod",
        "network": {"cidr": "10.0.0.0/24", "gateway": {"bastion": {"allowed": ["203.0.113.0/24"]}}},
        "ssh_keys": {"ops": KEY},
        "nodes": {
            "core": {
                "count": count,
                "cloud_init": {
                    "packages": ["git"],
                    "users": [{"name": "lssm", "groups": ["video", "adm"]}],
                    "write_files": [{"path": "/etc/motd", "content": "hello\n", "owner": "lssm:lssm"}],
                },
            }
        },
        "load_balancer": {"backends": {"api": {"nodes": "core"}}},
        "app": {"repository": "https://git.example.org/backend.git", "user": "lssm", **(app or {})},
        **sections,
    }


def resources(data: dict[str, Any]) -> dict[str, Resource]:
    """What the file asks for, by key."""
    return {item.key: item for item in resources_of(parse(data))}


def values(template: str, **sections: Any) -> Any:
    """The parts of one variable of the first node, and what its setup waits for."""
    setup = resources(file({"env_file": {"values": {"X": template}}}, **sections))["node_setup.core-01"]
    return setup.fields["env_file"]["values"]["X"], set(setup.dependencies())


# -- setup -----------------------------------------------------------------------------------------------------


def test_what_is_kept_on_a_node() -> None:
    """Everything of cloud-init but its commands, and what the application needs besides."""
    setup = resources(file(count=2))["node_setup.core-02"]
    assert (setup.name, setup.parent) == ("lssm-prod-core-02/setup", "server.core-02")
    app = setup.fields.pop("app")
    assert setup.fields == {
        "reachable": True,
        "hostname": "lssm-prod-core-02",
        "users": {"lssm": {"home": "/home/lssm", "shell": "/bin/bash", "groups": ["adm", "video"]}},
        "packages": {"git": True},
        "directories": {"/srv/lssm": {"mode": "0755", "owner": "lssm:lssm"}},
        "files": {"/etc/motd": {"mode": "0644", "owner": "lssm:lssm", "digest": digest(b"hello\n")}},
        "units": {"lssm-api": "enabled", "lssm-worker": "enabled"},
    }
    assert app["drain"] == 30.0
    assert setup.inputs == {"contents": {"/etc/motd": "hello\n"}}
    assert set(setup.dependencies()) == {"server.core-02", "server_power.core-02", *WAY_IN}


def test_first_boot_makes_the_same_users() -> None:
    """Beside the image's own; files that belong to them wait for them."""
    user_data = resources(file())["user_data.core-01"].inputs["content"]
    assert "users:\n- default\n- name: lssm\n  homedir: /home/lssm\n" in user_data
    assert "  defer: true\n" in user_data


def test_the_routing_table_is_a_file() -> None:
    """Of every node, with the table in it that Secret Manager has."""
    llm = {
        "providers": {"ours": {"api_key": "key"}},
        "routes": {"chat": {"provider": "ours", "model": "m"}},
    }
    found = resources(file({"llm_routing": "/etc/llm.json"}, llm=llm, secrets={"key": {"generate": 20}}))
    setup = found["node_setup.core-01"]
    content = setup.inputs["contents"]["/etc/llm.json"]
    assert json.loads(content)["routes"]["chat"]["model"] == "m"
    assert setup.fields["files"]["/etc/llm.json"]["digest"] == digest(content.encode())


@pytest.mark.parametrize(
    ("template", "sections", "parts", "waits_for"),
    [
        ("plain", {}, ["plain"], set()),
        ("${node.name}", {}, ["lssm-prod-core-01"], set()),
        ("${node.address}", {}, [ref("private_nic.core-01", "address")], {"private_nic.core-01"}),
        (
            "${postgresql.address}:${postgresql.port}",
            {"postgresql": {"databases": ["a"]}},
            [ref("rdb_instance.main", "address"), ":", ref("rdb_instance.main", "port")],
            {"rdb_instance.main"},
        ),
        ("${redis.address}", {"redis": {}}, [ref("redis_cluster.main", "address")], {"redis_cluster.main"}),
        ("${sqs.endpoint}", {"sqs": {}}, [ref("sqs.main", "endpoint")], {"sqs.main"}),
        (
            "${queue:lssm/jobs}",
            {"sqs": {"queues": {"lssm/jobs": {"fifo": True}}}},
            [ref("queue.lssm-prod-jobs.fifo", "url")],
            {"queue.lssm-prod-jobs.fifo"},
        ),
        ("${bucket:lssm/core}", {"buckets": {"lssm/core": {}}}, ["lssm-prod-core"], set()),
        (
            "${secret:key|url}",
            {"secrets": {"key": {"generate": 20}}},
            [{"url": secret("/lssm/prod", "key")}],
            {"secret.key"},
        ),
        (
            "${secret:sqs-backend:secret_key}",
            {"sqs": {"credentials": {"backend": ["publish"]}}},
            [secret("/lssm/prod", "sqs-backend", "secret_key")],
            {"secret.sqs-backend", "sqs_credentials.backend"},
        ),
        (
            "${secret:api-api-key:access_key}",
            {"applications": {"api": {"api_key": True}}},
            [secret("/lssm/prod", "api-api-key", "access_key")],
            {"secret.api-api-key", "api_key.api"},
        ),
    ],
)
def test_placeholders(template: str, sections: dict[str, Any], parts: list[Any], waits_for: set[str]) -> None:
    """What each stands for, and the steps before which it has no value."""
    found, dependencies = values(template, **sections)
    assert found == parts
    assert dependencies == {"server.core-01", "server_power.core-01", *WAY_IN} | waits_for


def test_no_secret_is_in_a_plan() -> None:
    """Only where it is kept: the env file is compared by the parts it is made of and the versions of its secrets."""
    data = file({"env_file": {"values": {"KEY": "${secret:key}"}}}, secrets={"key": {"generate": 20}})
    assert resources(data)["node_setup.core-01"].fields["env_file"] == {
        "path": "/etc/lssm/backend.env",
        "variables": ["KEY"],
        "values": {"KEY": [secret("/lssm/prod", "key")]},
        "secrets": IN_SECRET_MANAGER,
        "untouched": True,
    }


@pytest.mark.parametrize(
    ("app", "place", "message"),
    [
        ({"user": "www"}, "app.user", "has no 'www'"),
        ({"llm_routing": "/etc/llm.json"}, "app.llm_routing", "llm is missing"),
        ({"env_file": {"values": {"X": "${redis.port}"}}}, "app.env_file.values.X", "redis is missing"),
        ({"env_file": {"values": {"X": "${queue:lssm/job}"}}}, "app.env_file.values.X", "sqs.queues has no"),
        ({"env_file": {"values": {"X": "${bucket:lssm/job}"}}}, "app.env_file.values.X", "buckets has no"),
        ({"env_file": {"values": {"X": "${secret:kye}"}}}, "app.env_file.values.X", "did you mean key?"),
        ({"env_file": {"values": {"X": "${HOME}"}}}, "app.env_file.values.X", "stands for nothing"),
        ({"env_file": {"values": {"X": "a\rb"}}}, "app.env_file.values.X", "control character"),
    ],
)
def test_what_cannot_be_written(app: dict[str, Any], place: str, message: str) -> None:
    """Every slip is found in the file, with its place."""
    with pytest.raises(EnvironmentFileError) as caught:
        parse(file(app, secrets={"key": {"generate": 20}}))
    assert place in caught.value.message
    assert message in caught.value.message


def test_units_of_the_repository() -> None:
    """Those of both environments are those of the sample, which is measured with them."""
    folder = ROOT / "sample" / "backend" / "systemd"
    wanted = {f"/etc/systemd/system/{unit.name}": unit.read_text() for unit in folder.glob("*.service")}
    for name in ("prod", "stg"):
        written = parse(read(name, ROOT / "environments")).nodes["core"].cloud_init.write_files
        assert {unit.path: unit.content for unit in written} == wanted


# -- release ---------------------------------------------------------------------------------------------------


def test_a_node_joins_the_pool_with_its_release() -> None:
    """The pool of the application waits for the release of each of its nodes; another pool does not."""
    backends = {"api": {"nodes": "core"}, "other": {"nodes": "core", "port": 4000}}
    frontends = {"http": {"port": 80, "backend": "other"}, "more": {"port": 8080, "backend": "api"}}
    balancer = {"backends": backends, "frontends": frontends}
    found = resources(file({"backend": "api"}, count=2, load_balancer=balancer))
    releases = {"node_release.core-01", "node_release.core-02"}
    assert releases <= set(found["lb_backend.api"].dependencies())
    assert releases.isdisjoint(found["lb_backend.other"].dependencies())
    release = found["node_release.core-02"]
    assert set(release.dependencies()) == {"server.core-02", "private_nic.core-02", "node_setup.core-02"}
    assert release.inputs["site"]["nodes"] == ["lssm-prod-core-01", "lssm-prod-core-02"]


def test_no_application_no_nodes_inside() -> None:
    """Without an application nothing is looked at over SSH."""
    data = file()
    del data["app"]
    assert not [key for key, item in resources(data).items() if item.kind.startswith("node_")]


KINDS = ("server", "private_nic", "node_setup", "node_release", "lb_backend")


def world(data: dict[str, Any]) -> list[Observed]:
    """Everything of these kinds exactly as the file says, each with what it holds on to."""
    outputs: dict[str, dict[str, Any]] = {}
    found = []
    for item in resources(data).values():
        if item.kind not in KINDS:
            continue
        label = item.key.partition(".")[2]
        server, nic = f"id of server.{label}", f"id of private_nic.{label}"
        uses: dict[str, tuple[str, ...]] = {
            "private_nic": (server,),
            "node_release": (server, nic),
            "lb_backend": tuple(
                held
                for index in range(1, data["nodes"]["core"]["count"] + 1)
                for held in (
                    f"id of private_nic.core-{index:02d}",
                    release_id(f"id of private_nic.core-{index:02d}"),
                )
            ),
        }
        identity = {"node_setup": server, "node_release": release_id(nic)}.get(item.kind, f"id of {item.key}")
        outputs[item.key] = {"id": identity} | ({"address": f"10.0.0.{label[-1]}"} if "nic" in item.kind else {})
        found.append(
            Observed(
                kind=item.kind,
                name=item.name,
                id=identity,
                fields=resolve(item.fields, lambda key, output: outputs.get(key, {}).get(output, f"{output} of {key}")),
                outputs=outputs[item.key],
                parent_id=server if item.parent.startswith("server.") else "",
                uses=uses.get(item.kind, ()),
            )
        )
    return found


def order(plan: Plan, *steps: str) -> bool:
    """Whether each of these steps begins only after the one before it has ended, directly or by way of others."""
    after = {step.id: set(step.after) for step in plan.steps}

    def waits_for(step: str) -> set[str]:
        return after[step] | {far for near in after[step] for far in waits_for(near)}

    return all(before in waits_for(step) for before, step in itertools.pairwise(steps))


def part(data: dict[str, Any]) -> list[Resource]:
    """Resources of these kinds, needing no others."""
    found = [item for item in resources(data).values() if item.kind in KINDS]
    keys = {item.key for item in found}

    def known(key: str, output: str) -> Any:
        return ref(key, output) if key in keys else f"{output} of {key}"

    return [
        item.model_copy(
            update={
                "fields": resolve(item.fields, known),
                "depends_on": tuple(key for key in item.depends_on if key in keys),
                "parent": item.parent if item.parent in keys else "",
            }
        )
        for item in found
    ]


def test_nothing_to_do() -> None:
    """The world of these tests is as declared."""
    assert make_plan("lssm-prod", part(file(count=2)), world(file(count=2))).changes == ()


def test_a_second_node() -> None:
    """It is set up, gets the release, and only then is in the pool."""
    plan = make_plan("lssm-prod", part(file(count=2)), world(file(count=1)))
    assert order(
        plan,
        "create server.core-02",
        "create private_nic.core-02",
        "create node_release.core-02",
        "update lb_backend.api",
    )
    assert order(plan, "create node_setup.core-02", "create node_release.core-02")
    assert not [step for step in plan.steps if "core-01" in step.id]


def test_a_node_leaves() -> None:
    """Out of the pool first, then it drains and stops, then it goes; its setup goes with the machine."""
    plan = make_plan("lssm-prod", part(file(count=1)), world(file(count=2)))
    gone = "lssm-prod-core-02"
    release = f"delete node_release.{gone}/release"
    assert order(plan, "update lb_backend.api", release, f"delete server.{gone}")
    assert order(plan, release, f"delete private_nic.{gone}/pn-lssm-prod-core")
    assert not [change for change in plan.changes if change.kind == "node_setup"]


def test_a_replaced_node() -> None:
    """It drains, goes, comes anew with the release, and its new address is in the pool."""
    plan = make_plan("lssm-prod", part(file(count=2)), world(file(count=2)), Wishes(replace=("lssm-prod-core-02",)))
    assert order(
        plan,
        "delete node_release.core-02",
        "delete server.core-02",
        "create server.core-02",
        "create node_setup.core-02",
        "create node_release.core-02",
        "update lb_backend.api",
    )
    assert not [step for step in plan.steps if "core-01" in step.id]


def test_destroy() -> None:
    """The pool goes before its nodes drain, and those before their machines."""
    data = file(count=1)
    plan = make_destroy_plan("lssm-prod", resources(data).values(), world(data))
    assert order(plan, "delete lb_backend.api", "delete node_release.core-01", "delete server.core-01")
