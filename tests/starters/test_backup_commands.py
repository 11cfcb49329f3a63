"""Commands for backups, from the command line to a vault and back."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from blueprint.backup.site_of import backup_site
from blueprint.environment import parse
from starters.cli.app import invoke
from starters.cli.exits import Exit
from starters.cli.watch import LOOK_EVERY
from starters.engine import target_of
from starters.temporal_server import TemporalServer
from tests.workflows.house import UI, House, house, small
from tests.workflows.vault import Vault
from tests.workflows.vault_house import VaultHouse, vault_house
from workflows.identity import TASK_QUEUE

KEEP = {"last": 1, "daily": 0, "weekly": 0, "monthly": 0, "yearly": 0, "least_good": 1}
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def home(temporal: TemporalServer) -> Iterator[House]:
    """A house without a worker of its own."""
    with house(temporal.address) as built:
        yield built


@pytest.fixture
def vault(home: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VaultHouse]:
    """A vault for an environment with one bucket, and a command line that leads there."""
    data = small(
        org=f"c{uuid.uuid4().hex[:8]}",
        buckets={"shop/files": {}, "shop/backups": {}},
        backup={"bucket": "shop/backups", "retention": KEEP},
    )
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(data))
    monkeypatch.setenv("TEMPORAL_ADDRESS", home.address)
    monkeypatch.setenv("TEMPORAL_UI_URL", UI)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "none.toml"))
    environment = parse(data)
    site = backup_site(environment, target_of(environment))
    assert site
    with vault_house(home, Vault(site), TASK_QUEUE) as built:
        yield built


@pytest.fixture
def command(vault: VaultHouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Gives exit code, standard output and standard error of a command."""

    def run(name: str, *arguments: str, output: str = "human") -> tuple[int, str, str]:
        capsys.readouterr()
        code = invoke(["--directory", str(tmp_path), "--output", output, name, "test", *arguments])
        return (code, *capsys.readouterr())

    return run


def bucket_of(vault: VaultHouse) -> str:
    """The asset."""
    return vault.vault.site.buckets[0].asset


def test_what_a_run_gave_is_shown(command: Command, vault: VaultHouse) -> None:
    """To people as text, to programs as JSON; of a backup, of a drill, of retention and of a restore."""
    asset = bucket_of(vault)

    first, second = command("backup"), command("backup", "--only", asset, output="json")
    assert (first[0], second[0]) == (Exit.DONE, Exit.DONE)
    assert f"{asset}: 9 B" in first[1]
    assert [entry["asset"] for entry in json.loads(second[1])["entries"]] == [asset]

    code, out, _ = command("drill", "--only", asset)
    assert (code, "passed" in out) == (Exit.DONE, True)

    code, out, _ = command("retention", "--yes")
    assert code == Exit.DONE
    assert "Deleted 1 backups" in out

    bucket = asset.removeprefix("bucket/")
    code, out, _ = command("restore", "--bucket", bucket, "--yes")
    assert code == Exit.DONE
    assert "1 objects are as they were, 2 restored" in out


def test_a_run_that_fails_shows_what_it_gave_all_the_same(command: Command, vault: VaultHouse) -> None:
    """People see what is wrong with the backup; programs get the error alone."""
    vault.vault.keep(bucket_of(vault), 1)
    vault.vault.findings = ("an object is missing",)

    code, out, err = command("drill")
    assert code not in {Exit.DONE, Exit.BUSY}
    assert "an object is missing" in out
    assert bucket_of(vault) in err

    code, out, _ = command("drill", output="json")
    assert code not in {Exit.DONE, Exit.BUSY}
    assert bucket_of(vault) in json.loads(out)["error"]["message"]


def test_a_turn_is_waited_for_and_a_run_is_left_alone(command: Command, vault: VaultHouse) -> None:
    """`--detach` comes back at once, `--wait` once the other run has ended; who does not wait is refused."""
    gate = vault.gate("bucket")
    code, out, err = command("backup", "--detach")
    assert (code, out) == (Exit.DONE, "")
    assert "Started:" in err
    vault.until_called("bucket")

    assert command("retention", "--yes")[0] == Exit.BUSY
    assert command("backup")[0] == Exit.BUSY
    threading.Timer(0.2, gate.set).start()
    code, out, err = command("backup", "--wait")

    assert code == Exit.DONE
    assert "Waiting: backup runs" in err
    assert len(vault.vault.named("published bucket")) == 2


def test_a_run_without_steps_is_followed(command: Command, vault: VaultHouse) -> None:
    """A drop is one activity and tells of no progress; whoever follows it for long hears of its end all the same."""
    gate = vault.gate("drop before_shop_1")
    # Longer than between two looks at a run.
    threading.Timer(2 * LOOK_EVERY + 0.2, gate.set).start()
    code, out, err = command("drop", "before_shop_1", "--yes")
    assert (code, out) == (Exit.DONE, "Dropped: before_shop_1\n"), err
