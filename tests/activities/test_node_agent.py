"""The agent on a real machine: installed, configured, mended, refused. What is installed here only behaves like one."""

from __future__ import annotations

import copy
import hashlib
import http.server
import random
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncssh
import pytest
import yaml

from activities.registry import LIFECYCLES, Clouds
from activities.settings import ScalewaySettings
from activities.ssh.script import Script
from activities.temporal_client import TemporalBridge
from blueprint.agent import CONFIGURATION, PACKAGE, VARIABLES
from blueprint.errors import Refused
from blueprint.kinds.rdb import IN_SECRET_MANAGER
from emulator.real.machines.follower import Machines
from tests.activities.conftest import TARGET, Control
from tests.activities.site import Site, persistently
from tests.emulator.real.local import eventually, real_emulator

OBSTACLE = Machines(Path("/nowhere")).obstacle()
real = pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or "")

KINDS = [kind for kind in LIFECYCLES if kind.partition("_")[0] not in ("drift", "schedule")]
NODE = "lssm-prod-core-01"
KEY = "node_agent.core-01"

STAND_IN = """\
#!/bin/bash
# Takes a configuration that mentions pipelines if it has the token, as the collector does; writes once, and then stays.
grep -q pipelines "${2#--config=}" "${1#--config=}" 2>/dev/null || { echo "Error: no pipelines" >&2; exit 1; }
[ -n "$COCKPIT_TOKEN" ] || { echo "Error: no token" >&2; exit 1; }
[ -w /var/lib/otelcol-contrib ] || { echo "Error: no directory for its state" >&2; exit 1; }
[ "$1" != validate ] || exit 0
address=${COCKPIT_METRICS_URL#http://}
host=${address%%/*}
exec 3<>"/dev/tcp/${host%:*}/${host#*:}"
printf 'POST /%s/api/v1/push HTTP/1.1\\r\\nHost: %s\\r\\nX-Token: %s\\r\\nContent-Length: 0\\r\\n\\r\\n' \\
    "${address#*/}" "$host" "$COCKPIT_TOKEN" >&3
exec sleep infinity
"""
UNIT = f"""\
[Service]
EnvironmentFile=/etc/{PACKAGE}/{PACKAGE}.conf
ExecStart=/usr/bin/{PACKAGE} $OTELCOL_OPTIONS
User={PACKAGE}
[Install]
WantedBy=multi-user.target
"""
POSTINST = f"#!/bin/sh\nid {PACKAGE} >/dev/null 2>&1 || useradd --system {PACKAGE}\n"
CONTROL = f"Package: {PACKAGE}\nVersion: {{version}}\nArchitecture: all\nMaintainer: t\nDescription: t\n"


def package(folder: Path, version: str) -> tuple[str, str]:
    """A package as its project makes it, but for the program in it. Returns its file's name and digest."""
    root = folder / version
    for path, content in {
        f"usr/bin/{PACKAGE}": STAND_IN,
        f"lib/systemd/system/{PACKAGE}.service": UNIT,
        f"etc/{PACKAGE}/{PACKAGE}.conf": f'OTELCOL_OPTIONS="--config={CONFIGURATION}"\n',
        f"etc/{PACKAGE}/config.yaml": "receivers: {}\n",
        "DEBIAN/control": CONTROL.format(version=version),
        "DEBIAN/conffiles": f"/etc/{PACKAGE}/{PACKAGE}.conf\n/etc/{PACKAGE}/config.yaml\n",
        "DEBIAN/postinst": POSTINST,
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
        (root / path).chmod(0o755 if path.startswith("usr/bin") or path.endswith("postinst") else 0o644)
    file = folder / f"{PACKAGE}_{version}.deb"
    build = ["dpkg-deb", "--root-owner-group", "--build", str(root), str(file)]
    subprocess.run(build, check=True, capture_output=True)
    return file.name, hashlib.sha256(file.read_bytes()).hexdigest()


@dataclass
class House:
    """A node and its agent.

    Attributes:
        site: plans and applies it.
        clouds: the worker's way to it.
        file: as declared.
        packages: the fields `package` of two versions of the agent.
        control: of the emulator that has them.
    """

    site: Site
    clouds: Clouds
    file: dict[str, Any]
    packages: list[dict[str, str]]
    control: Control

    def declared(self, **agent: Any) -> dict[str, Any]:
        """The file with other settings of the agent."""
        data = copy.deepcopy(self.file)
        data["monitoring"]["agent"] |= agent
        return data

    def on(self, command: str) -> str:
        """What a command on the node prints."""
        outcome = persistently(lambda: self.clouds.nodes.run(TARGET, NODE, Script("test", command)))
        return "\n".join(outcome.output)

    def differences(self, **agent: Any) -> dict[str, tuple[Any, Any]]:
        """What is not as declared; nothing else than the agent may be so."""
        changes = self.site.plan(self.declared(**agent)).changes
        assert [change.key for change in changes] in ([], [KEY])
        return {item.path: (item.old, item.new) for change in changes for item in change.differences}


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        """Not even that it did."""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, str]]]:
    """Two versions, where nodes can fetch them."""
    folder = tmp_path_factory.mktemp("packages")
    made = [package(folder, version) for version in ("1.0", "1.1")]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield [{"url": f"http://127.0.0.1:{server.server_port}/{name}", "sha256": digest} for name, digest in made]
        server.shutdown()


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, packages: list[dict[str, str]], bridge: TemporalBridge
) -> Iterator[House]:
    """One node, applied."""
    folder = tmp_path_factory.mktemp("house")
    key = asyncssh.generate_private_key("ssh-ed25519")
    (folder / "key").write_bytes(key.export_private_key("openssh"))
    (folder / "key").chmod(0o600)
    prefix = f"127.{random.randrange(64, 192)}.{random.randrange(256)}"
    file = {
        "network": {"cidr": f"{prefix}.0/24", "gateway": {"bastion": {"allowed": ["127.0.0.1/32"]}}},
        "ssh_keys": {"test": key.export_public_key("openssh").decode().strip()},
        "nodes": {"core": {"type": "DEV1-S"}},
        "monitoring": {
            "data_sources": {"metrics": {"type": "metrics"}, "logs": {"type": "logs"}},
            "tokens": {"nodes": ["write_only_metrics", "write_only_logs"]},
            "agent": {"token": "nodes", "metrics": "metrics", "logs": "logs", "package": packages[0]},
        },
    }
    with real_emulator(folder) as api:
        known = {field.alias for field in ScalewaySettings.model_fields.values()}
        told = {name: value for name, value in Control(api).endpoints["environment"].items() if name in known}
        own = {"SCALEWAY_INFRA_SSH_KEY_FILE": folder / "key", "SSH_AUTH_SOCK": None}
        clouds = Clouds(ScalewaySettings.model_validate(told | own), bridge)
        made = House(Site(clouds.cloud(TARGET), KINDS), clouds, file, packages, Control(api))
        try:
            made.site.apply(file)
            yield made
        finally:
            clouds.nodes.close()


@real
def test_an_apply_installs_configures_and_starts_it(house: House) -> None:
    """With the addresses that Cockpit gave and a token that root alone reads; a second plan finds nothing to do."""
    assert house.differences() == {}
    assert house.on(f"systemctl is-active {PACKAGE}; stat -c '%a %U' {VARIABLES} {CONFIGURATION}").splitlines() == [
        "active",
        "600 root",
        "644 root",
    ]
    token = house.clouds.cloud(TARGET).secrets.reveal(
        {"$secret": "/lssm/prod", "name": "cockpit-nodes", "field": "secret_key"}
    )
    variables = dict(line.split("=", 1) for line in house.on(f"cat {VARIABLES}").splitlines())
    url = house.site.one(house.file, "data_source.metrics").outputs["url"]
    assert variables["COCKPIT_METRICS_URL"] == f'"{url}"'
    assert (variables["COCKPIT_TOKEN"], variables["NODE_NAME"]) == (f'"{token}"', f'"{NODE}"')
    configuration = house.on(f"cat {CONFIGURATION}")
    assert token not in configuration
    assert set(yaml.safe_load(configuration)["service"]["pipelines"]) == {"metrics", "logs"}


@real
def test_what_it_sends_arrives(house: House) -> None:
    """Cockpit takes it: the address can be reached from the node, and the token is the one that may write there."""
    house.on(f"systemctl restart {PACKAGE}")
    url = urlsplit(house.site.one(house.file, "data_source.metrics").outputs["url"])

    def arrived() -> list[int]:
        log = house.control.requests()["requests"]
        return [entry["status"] for entry in log if entry["path"] == f"{url.path}/api/v1/push"]

    assert set(eventually(arrived, "metrics in Cockpit")) == {200}


@real
@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (f"systemctl stop {PACKAGE}", {"running": (False, True)}),
        (f"systemctl --quiet disable {PACKAGE}", {"unit": ("disabled", "enabled")}),
        (f"chmod 600 {CONFIGURATION}", {f"files.{CONFIGURATION}.mode": ("0600", "0644")}),
        (f"chmod 644 {VARIABLES}", {"env_file.untouched": (False, True)}),
        (f"dpkg --remove --force-all {PACKAGE}", {"installed": (False, True)}),
    ],
    ids=["stopped", "disabled", "configuration", "token shown to all", "removed"],
)
def test_a_change_by_hand_is_mended(house: House, spoil: str, found: dict[str, Any]) -> None:
    """It shows as what it is, and an apply takes it back."""
    house.on(f"{spoil} >/dev/null 2>&1")
    assert found.items() <= house.differences().items()
    house.site.apply(house.declared())
    assert house.differences() == {}


@real
def test_nothing_is_restarted_for_nothing(house: House) -> None:
    """A setup that finds all as declared lets the agent run on; another version replaces it, and keeps its files."""
    asked = f"systemctl show --property ExecMainPID --value {PACKAGE}"
    before = house.on(asked)
    resource = house.site.resources(house.file)[KEY]
    plan = house.site.plan(house.declared(package=house.packages[1]))
    assert [change.key for change in plan.changes] == [KEY]
    house.site.apply(house.file)
    assert house.on(asked) == before
    assert resource.fields["package"] == house.packages[0]["sha256"]

    house.site.apply(house.declared(package=house.packages[1]))
    assert house.on(f"dpkg-query -W -f '${{Version}}' {PACKAGE}") == "1.1"
    assert house.on(asked) != before
    assert house.differences(package=house.packages[1]) == {}
    house.site.apply(house.file)
    assert house.on(f"dpkg-query -W -f '${{Version}}' {PACKAGE}") == "1.0"


@real
def test_a_new_token_is_taken_over(house: House) -> None:
    """It shows by its name, and no value is in the plan."""
    content = '{"token_id": "t", "secret_key": "another-token"}'
    house.clouds.cloud(TARGET).secrets.store("/lssm/prod", "cockpit-nodes", content, note="t")
    assert house.differences()["env_file.secrets"] == ("older: cockpit-nodes", IN_SECRET_MANAGER)
    before = house.on(f"systemctl show --property ExecMainPID --value {PACKAGE}")
    house.site.apply(house.file)
    assert "another-token" in house.on(f"cat {VARIABLES}")
    assert house.on(f"systemctl show --property ExecMainPID --value {PACKAGE}") != before


@real
@pytest.mark.parametrize(
    ("prepare", "changes", "said"),
    [
        ("", {"sha256": "0" * 64}, "is not the package that the file names"),
        (f"dpkg --remove --force-all {PACKAGE}", None, "is not installed"),
        (f"chmod -x /usr/bin/{PACKAGE}; systemctl stop {PACKAGE}", {}, PACKAGE),
    ],
    ids=["another package", "no package", "it does not run"],
)
def test_it_is_refused(house: House, prepare: str, changes: dict[str, str] | None, said: str) -> None:
    """In words that say what is missing; with that, an apply goes on."""
    house.on(f"{prepare or 'true'} >/dev/null 2>&1")
    package = None if changes is None else house.packages[0] | changes
    with pytest.raises(Refused, match=said):
        house.site.apply(house.declared(package=package))
    house.on(f"chmod +x /usr/bin/{PACKAGE} 2>/dev/null || true")
    house.site.apply(house.file)
    assert house.differences() == {}
