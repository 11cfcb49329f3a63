"""The worker under systemd, and in its image."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workflows.plugin import GRACE
from workflows.versioning import BUILD_SETTING, DEPLOYMENT_SETTING, SOURCES

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "scaleway-infra-worker@.service"
MOST_EXPOSED = 2.0
"""Of 10, as `systemd-analyze security` counts; a service that says nothing has 9.6."""
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


def setting(name: str) -> str:
    """The last value of a setting of the unit."""
    values: list[str] = re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)
    return values[-1]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The unit with the program and the documentation of this checkout."""
    unit = tmp_path / UNIT.name
    text = UNIT.read_text().replace("/opt/scaleway-infra/%i/.venv/bin/python", sys.executable)
    unit.write_text(text.replace("/opt/scaleway-infra/%i", str(ROOT)))
    return unit


@needs_systemd
def test_systemd_understands_every_line(here: Path) -> None:
    """No unknown setting, no missing program."""
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(here)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert here.name.partition("@")[0] not in checked.stderr, checked.stderr


@needs_systemd
def test_it_is_locked_in(here: Path) -> None:
    """The worker holds the keys to everything: what else runs on its machine is none of its business."""
    checked = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED * 10:.0f}", str(here)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout[-3000:] + checked.stderr


def test_it_lets_activities_end() -> None:
    """Its stop takes longer than the worker's, sends what the worker listens to, and the worker starts again."""
    assert int(setting("TimeoutStopSec")) > GRACE.total_seconds()
    assert setting("KillSignal") == "SIGTERM"
    assert setting("Restart") == "always"
    assert setting("RestartPreventExitStatus") == "64"


def test_an_instance_is_a_version() -> None:
    """Its folder and its name in Temporal are the instance's."""
    assert f"{BUILD_SETTING}=%i" in UNIT.read_text()
    assert f"{DEPLOYMENT_SETTING}=" in UNIT.read_text()
    assert setting("WorkingDirectory").endswith("/%i")


LOADED = """
import json, sys
import worker
files = [getattr(module, "__file__", None) or "" for module in sys.modules.values()]
print(json.dumps(sorted({file for file in files if file})))
"""


def test_image_and_version_have_all_that_a_worker_loads() -> None:
    """A package that the image lacks would end it at once; one that the digest lacks would change unseen."""
    printed = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, check=True).stdout
    paths = [Path(file).relative_to(ROOT) for file in json.loads(printed) if Path(file).is_relative_to(ROOT)]
    packages = {path.parts[0] for path in paths if len(path.parts) > 1 and path.parts[0] != ".venv"}
    assert packages == set(SOURCES)
    copied = re.findall(r"^COPY (\w+) \1$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert set(copied) == packages
    sent = re.findall(r"^!(\w+)/$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert set(sent) == packages


def test_the_worker_explains_itself() -> None:
    """`python -m worker --help` needs no setting, and names both ways to run it; its build ID is printed alone."""
    grace = f"{GRACE.total_seconds():.0f} seconds"
    for words in ("scaleway-infra-worker@", "docker-compose.temporal.yml", BUILD_SETTING, grace):
        assert words in told_by("--help")
    assert re.fullmatch(r"[0-9a-f]{12}\n", told_by("--build-id"))


def told_by(argument: str) -> str:
    """What the worker prints and ends well."""
    command = [sys.executable, "-m", "worker", argument]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
