"""The environment file: what it takes, what it refuses and how it says so."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from blueprint.environment import available, json_schema, load, parse, read
from blueprint.environment.reference import render, render_schema
from blueprint.environment.source import Source
from blueprint.errors import EnvironmentFileError

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / "environments"
BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))
MINIMAL: dict[str, Any] = {"org": "acme", "env": "test", "network": {"cidr": "10.0.0.0/24"}}


def errors(error: EnvironmentFileError) -> list[str]:
    """The errors in a message, without the lines of the file."""
    found = [line.strip() for line in error.message.splitlines()[1:]]
    return [re.sub(r"^line \d+: ", "", line) for line in found]


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_broken_file(path: Path) -> None:
    """Every broken file gives exactly the errors written in its first lines, and nothing else."""
    expected = [
        line.removeprefix("# error: ") for line in path.read_text().splitlines() if line.startswith("# error: ")
    ]

    with pytest.raises(EnvironmentFileError) as caught:
        load(path)

    assert expected
    assert errors(caught.value) == expected
    assert caught.value.subject == str(path)
    assert caught.value.remedy
    assert "planted" not in str(caught.value).replace(str(path), "")


def test_there_are_enough_broken_files() -> None:
    """The broken files cover at least forty ways to be wrong."""
    assert len(BROKEN) >= 40


def test_errors_name_their_line(tmp_path: Path) -> None:
    """Each error begins with the line of the value, or of the section in which it is missing, in the file's order."""
    path = tmp_path / "test.yaml"
    path.write_text("org: acme\nenv: test\nnetwork:\n  gateway: {}\nnodes:\n  core:\n    count: many\n")

    with pytest.raises(EnvironmentFileError) as caught:
        load(path)

    assert [line.split(":")[0] for line in caught.value.message.splitlines()] == ["2 errors", "  line 3", "  line 7"]


@pytest.mark.parametrize("name", ["prod", "stg"])
def test_committed_files_are_valid(name: str) -> None:
    """The committed environments load by name, and editors agree with the engine."""
    environment = load(name, ENVIRONMENTS)

    jsonschema.validate(read(name, ENVIRONMENTS), json_schema(), cls=jsonschema.Draft202012Validator)
    assert environment.env == name
    assert environment.production == (name == "prod")


def test_committed_files_name_their_schema() -> None:
    """Editors find the schema by the first line of each file."""
    first_lines = {path.read_text().splitlines()[0] for path in ENVIRONMENTS.glob("*.yaml")}

    assert first_lines == {"# yaml-language-server: $schema=schema.json"}


def test_plain_data_survives_json() -> None:
    """What a workflow carries means the same environment on the other side."""
    data = json.loads(json.dumps(read("prod", ENVIRONMENTS)))

    assert parse(data) == load("prod", ENVIRONMENTS)


def test_missing_file_lists_what_there_is() -> None:
    """A name without a file is told what names there are, and which is near."""
    with pytest.raises(EnvironmentFileError, match="there is no such environment") as caught:
        load("prd", ENVIRONMENTS)

    assert available(ENVIRONMENTS) == ["prod", "stg"]
    assert caught.value.remedy == f"{ENVIRONMENTS}/ has prod, stg; did you mean prod?"


def test_missing_directory(tmp_path: Path) -> None:
    """Without any file the way out is to write one."""
    with pytest.raises(EnvironmentFileError) as caught:
        load("prod", tmp_path / "nowhere")

    assert "write one" in caught.value.remedy


def test_file_of_another_environment(tmp_path: Path) -> None:
    """A copied file whose env was forgotten would change the other environment, so it is refused."""
    (tmp_path / "stg.yaml").write_text((ENVIRONMENTS / "prod.yaml").read_text())

    with pytest.raises(EnvironmentFileError) as caught:
        load("stg", tmp_path)

    assert errors(caught.value) == ["env: 'prod' is not the name of the file; env: stg fits stg.yaml"]


@pytest.mark.parametrize("content", [b"org: \xff\xfe", b"org: \x01acme"], ids=["not UTF-8", "control character"])
def test_unreadable_file(tmp_path: Path, content: bytes) -> None:
    """Bytes that are no text are an error like any other."""
    path = tmp_path / "test.yaml"
    path.write_bytes(content)

    with pytest.raises(EnvironmentFileError):
        load(path)


def test_minimal_file() -> None:
    """Org, env and network are enough; everything else has a default or is not there."""
    environment = parse(MINIMAL)

    assert environment.network.gateway.type == "VPC-GW-S"
    assert environment.network.gateway.bastion is None
    assert list(environment.security_groups) == ["backend"]
    assert environment.postgresql is None
    assert environment.schedules.drift is not None


def test_empty_sections_mean_defaults() -> None:
    """A section without a required key may be left empty, for the engine and for editors."""
    data = {**MINIMAL, "nodes": {"core": None}, "redis": None, "sqs": {"queues": {"acme/jobs": None}}}

    environment = parse(data)

    jsonschema.validate(data, json_schema())
    assert environment.nodes["core"].count == 1
    assert environment.redis is None
    assert environment.sqs is not None
    assert environment.sqs.queues["acme/jobs"].dlq is None


def test_values_are_written_as_people_say_them() -> None:
    """Durations become seconds, sizes bytes, ports ranges; YAML 1.1's surprises do not happen."""
    text = """
org: acme
env: test
network: {cidr: 10.0.0.0/24}
security_groups:
  backend: {rules: [{ports: 8000-8100}, {ports: 443}]}
nodes:
  core:
    cloud_init: {write_files: [{path: /a, content: on, permissions: 0600}]}
postgresql:
  version: 16
  volume: {size: 20GB}
  backup: {every: 12h}
  databases: [shop]
  settings: {max_connections: 200, jit: off, log_lock_waits: true, random_page_cost: 1.1}
redis: {settings: {disable-save: true}}
sqs: {queues: {acme/jobs: {visibility_timeout: 1.5m, dlq: true}}}
applications: {backend: {api_key: {expires: 2027-01-31}}}
"""
    environment = parse(Source(text).data)

    assert [str(rule.ports) for rule in environment.security_groups["backend"].rules] == ["8000-8100", "443"]
    assert environment.nodes["core"].cloud_init.write_files[0].permissions == "0600"
    assert environment.nodes["core"].cloud_init.write_files[0].content == "on"
    assert environment.postgresql is not None
    assert environment.postgresql.volume.size == 20_000_000_000
    assert environment.postgresql.backup.every == 43_200
    assert environment.postgresql.settings == {
        "max_connections": "200",
        "jit": "off",
        "log_lock_waits": "on",
        "random_page_cost": "1.1",
    }
    assert environment.redis is not None
    assert environment.redis.settings == {"disable-save": "true"}
    assert environment.sqs is not None
    queue = environment.sqs.queues["acme/jobs"]
    assert queue.visibility_timeout == 90
    assert queue.dlq is not None
    assert queue.dlq.max_receive_count == 5


def test_frontends_follow_from_certificates() -> None:
    """With certificates the load balancer listens on 443 and redirects from 80; without them it listens on 80."""
    balancer: dict[str, Any] = {"backends": {"api": {"nodes": "core"}}}
    plain = parse({**MINIMAL, "nodes": {"core": {}}, "load_balancer": balancer}).load_balancer
    secure = load("prod", ENVIRONMENTS).load_balancer

    assert plain is not None
    assert {name: frontend.port for name, frontend in plain.frontends.items()} == {"http": 80}
    assert secure is not None
    assert secure.frontends["http"].redirect_https
    assert secure.frontends["https"].certificates == ["api", "artisanos"]
    assert secure.backend_of("https") == "api"


def test_record_sets_follow_from_the_target() -> None:
    """A name that leads to the load balancer has an A record, and an AAAA record if there is an IPv6 address."""
    zone = load("prod", ENVIRONMENTS).dns["lssm.tech"]

    with_ipv6 = [(found.name, found.type) for found in zone.record_sets(ipv6=True)]
    without = [(found.name, found.type) for found in zone.record_sets(ipv6=False)]

    assert ("api", "A") in with_ipv6
    assert ("api", "AAAA") in with_ipv6
    assert ("app.equitya", "CNAME") in without
    assert ("api", "AAAA") not in without


def test_certificate_name_may_lead_through_a_cname() -> None:
    """A certificate's name leads to the load balancer also by way of other names of the file."""
    data = {
        **MINIMAL,
        "nodes": {"core": {}},
        "load_balancer": {
            "backends": {"api": {"nodes": "core"}},
            "certificates": {"api": {"domains": ["www.acme.org"]}},
        },
        "dns": {
            "acme.org": {
                "records": [
                    {"name": "www", "type": "CNAME", "values": ["api.acme.net."]},
                ]
            },
            "acme.net": {"records": [{"name": "api", "target": "load_balancer"}]},
        },
    }

    assert parse(data).dns


def test_users_follow_from_databases() -> None:
    """Without declared users every database has one of its own name."""
    postgresql = load("prod", ENVIRONMENTS).postgresql

    assert postgresql is not None
    assert {name: user.databases for name, user in postgresql.accounts().items()} == {
        "contractspec_engine": {"contractspec_engine": "all"},
        "equitya": {"equitya": "all"},
        "artisanos": {"artisanos": "all"},
    }


def test_user_data_is_cloud_config() -> None:
    """The first boot sets the host name by rule and adds what the file says."""
    environment = load("prod", ENVIRONMENTS)

    user_data = environment.nodes["core"].user_data("lssm-prod-core-01")

    document = yaml.safe_load(user_data)
    assert user_data.startswith("#cloud-config\n")
    assert document["hostname"] == "lssm-prod-core-01"
    assert [written["path"] for written in document["write_files"]] == [
        "/etc/systemd/system/lssm-api.service",
        "/etc/systemd/system/lssm-worker.service",
    ]
    assert "RestartSec=3" in document["write_files"][0]["content"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["nodes", "core", "cuont"], 2),
        (["nodes", "core", "count"], "2"),
        (["buckets", "no-domain"], {}),
        (["sqs", "queues", "lssm/jobs", "visibility_timeout"], "15 minutes"),
        (["postgresql", "version"], "9.6"),
        (["dns", "lssm.tech", "records", 0, "type"], "HINFO"),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, list) else "",
)
def test_schema_refuses(path: list[str | int], value: object) -> None:
    """Editors mark what the engine refuses."""
    data: Any = copy.deepcopy(read("prod", ENVIRONMENTS))
    place = data
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, json_schema())
    with pytest.raises(EnvironmentFileError):
        parse(data)


def test_schema_explains_every_key() -> None:
    """Every key of every section has a description, so that editors and the reference can show one."""
    schema = json_schema()

    bare = [
        f"{name}.{key}"
        for name, definition in [("the file", schema), *schema["$defs"].items()]
        for key, field in definition.get("properties", {}).items()
        if not field.get("description")
    ]

    assert bare == []


def test_generated_files_are_current() -> None:
    """`python -m blueprint.environment.reference` was run after the last change of the models."""
    assert (ENVIRONMENTS / "schema.json").read_text() == render_schema()
    assert (ROOT / "docs" / "environment.md").read_text() == render()


def test_environment_is_pure() -> None:
    """Workflows import the package, so it must not bring the network along."""
    program = "import sys, blueprint.environment; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert {"temporalio", "scaleway", "boto3", "requests", "aiohttp"}.isdisjoint(loaded.stdout.split())


def test_large_environment() -> None:
    """Twenty thousand records take a third of a second; a check that compares each with each would take minutes."""
    records = [{"name": f"host-{index}", "type": "A", "values": ["203.0.113.9"]} for index in range(20_000)]
    started = time.monotonic()

    environment = parse({**MINIMAL, "dns": {"acme.org": {"records": records}}})

    assert len(environment.dns["acme.org"].record_sets(ipv6=False)) == 20_000
    assert time.monotonic() - started < 10
