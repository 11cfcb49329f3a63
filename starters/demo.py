"""`make demo`: prod on a local Scaleway, made, released onto, changed under load and removed before your eyes.

Every step is a command that works the same by hand; what it proves at the end it reads from the local Scaleway itself.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
import yaml
from rich.console import Console
from rich.rule import Rule
from temporalio.client import Client

from blueprint.environment import parse
from starters.cli.exits import Exit
from starters.demo_data import BUCKET, DATABASE, HARMED, DemoData
from starters.dev import addresses
from starters.engine import Engine, target_of
from starters.rehearsal import ROOT, Rehearsal, Traffic
from starters.sample import SampleRepository
from workflows.identity import drill_turn
from workflows.plugin import EnginePlugin

ENVIRONMENT = "prod"
TRAFFIC = Traffic(rate=200, sockets=50, jobs=2)
SHORT = {"drain": "5s", "soak": "5s", "healthy_within": "10s"}
"""Deadlines of the demo: long enough to see, short enough to watch."""
_TIMEOUT, _BEGINS, _LOOK_EVERY = 10.0, 60.0, 0.2


class Demo:
    """One showing.

    Args:
        folder: where its own copy of the environment file and its state live.
        latency: factor on Scaleway's real delays.
        console: where to show it.
    """

    def __init__(self, folder: Path, latency: float, console: Console) -> None:
        self._console = console
        self._sample = SampleRepository(folder / "backend")
        self._sample.release("The first release")
        data = yaml.safe_load((ROOT / "environments" / f"{ENVIRONMENT}.yaml").read_text())
        self._rehearsal = Rehearsal(
            folder,
            data,
            str(self._sample.folder),
            latency=latency,
            say=console.print,
            changes={"app": SHORT},
        )
        self._data: DemoData | None = None

    def show(self, *, keep: bool) -> int:
        """Run it all; the exit code."""
        started = time.monotonic()
        with self._rehearsal:
            self._console.print(addresses(self._rehearsal.endpoints))
            self._make()
            failed = self._release() if self._has_machines() else 0
            self._change()
            failed += self._release_under_load() if self._has_machines() else 0
            lost = self._lose_and_restore() if self._has_machines() else []
            self._run("drift", ENVIRONMENT)
            if keep:
                self._wait()
            left = self._destroy()
        self._console.print(f"The whole demo took {time.monotonic() - started:.0f} s.")
        return 1 if left or failed or lost else 0

    # -- the acts ----------------------------------------------------------------------------------------------

    def _make(self) -> None:
        self._tell("The plan: everything that the file asks for, on an empty project.")
        self._run("plan", ENVIRONMENT)
        url = self._rehearsal.endpoints.temporal_ui_url
        self._tell(f"Apply. Every step is in the Temporal UI while it happens: {url}")
        self._run("apply", ENVIRONMENT, "--yes")
        self._run("status", ENVIRONMENT)
        self._tell("A second apply has nothing to do, and writes nothing.")
        before = self._writes()
        self._run("apply", ENVIRONMENT, "--yes")
        self._console.print(f"Writes to the API during the second apply: {self._writes() - before}")

    def _release(self) -> int:
        self._tell("Deploy the first release: over SSH through the bastion, to a real Debian machine.")
        self._run("deploy", ENVIRONMENT, "--ref", "main", "--yes")
        return 0

    def _change(self) -> None:
        self._tell("Change the file: a second node, one more queue, another time-out. The node joins when it is well.")
        data = self._rehearsal.read()
        data["nodes"]["core"]["count"] = 2
        data["sqs"]["queues"]["lssm/mails"] = {"visibility_timeout": "5m", "dlq": True}
        data["load_balancer"]["backends"]["api"]["server_timeout"] = "2m"
        self._rehearsal.write(data)
        self._run("plan", ENVIRONMENT)
        self._run("apply", ENVIRONMENT, "--yes")

    def _release_under_load(self) -> int:
        """Two deploys under load, a good one and a broken one; how many things users would have noticed."""
        self._sample.release("The second release")
        self._sample.push(self._rehearsal.repository)
        self._tell(f"Deploy the second release to both nodes under load: {TRAFFIC.rate:g} requests/s, and WebSockets.")
        failed = self._under_load(["deploy", ENVIRONMENT, "--ref", "main", "--yes"], Exit.DONE)
        broken = self._sample.release("The third release, which is not well", "fails health")
        self._sample.push(self._rehearsal.repository)
        self._tell("Deploy a third release that is never healthy: it goes back by itself, and users notice nothing.")
        failed += self._under_load(["deploy", ENVIRONMENT, "--ref", broken, "--yes"], Exit.FAILED)
        self._run("releases", ENVIRONMENT)
        return failed

    def _under_load(self, arguments: Sequence[str], code: int) -> int:
        with self._rehearsal.load(TRAFFIC) as load:
            self._run(*arguments, code=code)
            seen = load.end()
        self._console.print(load.printed, markup=False)
        return sum(seen.failures.values())

    def _lose_and_restore(self) -> list[str]:
        """Back up, drill, lose rows and objects, bring them back; what is not as it was."""
        data = self._data = DemoData(self._rehearsal.endpoints, parse(self._rehearsal.read()).names.secret_path)
        data.fill()
        self._tell("Back up every database and bucket: from a node, encrypted, straight into the bucket.")
        self._run("backup", ENVIRONMENT)
        self._tell("The drill, as its schedule starts it: restored aside, checked, removed. Now the backup is good.")
        asyncio.run(self._trigger("drill"))
        self._run("watch", ENVIRONMENT, "--of", "drill")
        self._run("backups", ENVIRONMENT)
        rows, objects = data.rows(), data.objects()
        data.harm()
        self._tell(f"A table is dropped, {HARMED} objects are deleted and {HARMED} overwritten. Left of {DATABASE}:")
        self._console.print(f"{data.rows()}, {len(data.objects())} objects in {BUCKET}")
        self._tell("One command brings the database back: beside the live one, checked, then the two change names.")
        self._run("restore", ENVIRONMENT, "--database", DATABASE, "--in-place", "--yes")
        self._tell("And one the bucket: only what differs is written, what came later stays.")
        self._run("restore", ENVIRONMENT, "--bucket", BUCKET, "--yes")
        lost = _differences(rows, data.rows()) + _differences(objects, data.objects())
        self._console.print(
            f"{data.rows()}, {len(data.objects())} objects; not as before: {', '.join(lost) or 'nothing'}"
        )
        self._run("status", ENVIRONMENT)
        return lost

    async def _trigger(self, what: str) -> None:
        """Trigger a schedule, as one does in the Temporal UI, and wait until its run has begun.

        Raises:
            TimeoutError: it has not.
        """
        environment = parse(self._rehearsal.read())
        client = await Client.connect(self._rehearsal.endpoints.temporal_address, plugins=[EnginePlugin()])
        await client.get_schedule_handle(environment.names.schedule(what)).trigger()
        async with asyncio.timeout(_BEGINS):
            while await Engine(client, "").current(target_of(environment), drill_turn) is None:
                await asyncio.sleep(_LOOK_EVERY)

    def _destroy(self) -> list[str]:
        self._tell("Destroy. What is protected has to be named. Objects and snapshots are not the engine's to delete.")
        if self._data:
            self._data.forget()
        self._run("destroy", ENVIRONMENT, "--yes", "--allow-destroy", "*")
        left = self._left()
        self._console.print(f"Left in the local Scaleway: {', '.join(left) or 'nothing'}.")
        return left

    # -- parts -------------------------------------------------------------------------------------------------

    def _tell(self, text: str) -> None:
        self._console.print()
        self._console.print(Rule(text, align="left"))

    def _run(self, *arguments: str, code: int = Exit.DONE) -> None:
        """One command, as a user would type it.

        Raises:
            SystemExit: it ended otherwise than it should.
        """
        self._console.print(f"[bold]$ scaleway-infra {' '.join(arguments)}[/]")
        ended = self._rehearsal.run(*arguments, check=False).returncode
        if ended != code:
            raise SystemExit(ended or 1)

    def _has_machines(self) -> bool:
        return "machines" in self._ask("real")["running"]

    def _writes(self) -> int:
        return int(self._ask("requests")["mutating"])

    def _left(self) -> list[str]:
        """What exists besides what an empty project has."""
        kinds = self._ask("resources")
        return [
            f"{kind} {item.get('name') or item['id']}"
            for kind, found in kinds.items()
            for item in found["items"]
            if not item.get("default")
        ]

    def _ask(self, what: str) -> dict[str, Any]:
        url = f"{self._rehearsal.endpoints.api_url}/_emulator/{what}"
        answer: dict[str, Any] = requests.get(url, timeout=_TIMEOUT).json()
        return answer

    def _wait(self) -> None:
        self._console.print("Look around; Ctrl-C goes on.")
        try:
            while True:
                time.sleep(0.5)
        except KeyboardInterrupt:
            self._console.print()


def _differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """What is not as it was; what came later is no difference."""
    return [name for name, was in before.items() if after.get(name) != was]


def install_packages(console: Console) -> None:
    """What real machines, balancers and databases need from Debian; the script says what it installs."""
    if subprocess.run([ROOT / "deploy" / "packages"], check=False).returncode:
        console.print("Not everything real can run here; the local Scaleway does without.")


def main() -> int:
    """Read the command line and show the demo."""
    parser = argparse.ArgumentParser(prog="make demo", description="prod: made, released onto, changed, removed.")
    parser.add_argument("--latency", type=float, default=0.05, help="factor on Scaleway's real delays")
    parser.add_argument("--keep", action="store_true", help="before the destroy, wait for Ctrl-C")
    options = parser.parse_args()
    console = Console(highlight=False)
    install_packages(console)
    with tempfile.TemporaryDirectory(prefix="scaleway-infra-demo-") as folder:
        return Demo(Path(folder), options.latency, console).show(keep=options.keep)


if __name__ == "__main__":
    sys.exit(main())
