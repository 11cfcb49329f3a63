"""`make demo`: the whole of prod on a local Scaleway, made, changed and removed before your eyes.

Every step is a command that works the same by hand; what it proves at the end it reads from the local Scaleway itself.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import requests
import yaml
from rich.console import Console
from rich.rule import Rule

from starters.dev import Dev, addresses
from starters.dev_state import DevEndpoints

ENVIRONMENT = "prod"
_ROOT = Path(__file__).resolve().parents[1]
_TIMEOUT = 10.0


class Demo:
    """One showing.

    Args:
        folder: where its own copy of the environment file and its state live.
        latency: factor on Scaleway's real delays.
        console: where to show it.
    """

    def __init__(self, folder: Path, latency: float, console: Console) -> None:
        self._folder = folder
        self._latency = latency
        self._console = console
        self._files = folder / "environments"

    def show(self, *, keep: bool) -> int:
        """Run it all; the exit code."""
        started = time.monotonic()
        self._files.mkdir(parents=True)
        for name in (f"{ENVIRONMENT}.yaml", "schema.json"):
            (self._files / name).write_text((_ROOT / "environments" / name).read_text())
        dev = Dev(
            self._folder / "state", port=0, temporal_port=0, ui_port=0, latency=self._latency, say=self._console.print
        )
        with dev:
            endpoints = dev.endpoints
            self._console.print(addresses(endpoints))
            self._tell("The plan: everything that the file asks for, on an empty project.")
            self._run(endpoints, "plan", ENVIRONMENT)
            self._tell("Apply. Every step is in the Temporal UI while it happens: " + endpoints.temporal_ui_url)
            self._run(endpoints, "apply", ENVIRONMENT, "--confirm", ENVIRONMENT)
            self._run(endpoints, "status", ENVIRONMENT)
            self._tell("A second apply has nothing to do, and writes nothing.")
            before = self._writes(endpoints)
            self._run(endpoints, "apply", ENVIRONMENT, "--confirm", ENVIRONMENT)
            self._console.print(f"Writes to the API during the second apply: {self._writes(endpoints) - before}")
            self._tell("Change the file: a second node, one more queue, another time-out.")
            self._change_the_file()
            self._run(endpoints, "plan", ENVIRONMENT)
            self._run(endpoints, "apply", ENVIRONMENT, "--confirm", ENVIRONMENT)
            self._run(endpoints, "drift", ENVIRONMENT)
            if keep:
                self._wait(dev)
            self._tell("Destroy. What is protected has to be named.")
            self._run(endpoints, "destroy", ENVIRONMENT, "--confirm", ENVIRONMENT, "--allow-destroy", "*")
            left = self._left(endpoints)
            self._console.print(f"Left in the local Scaleway: {', '.join(left) or 'nothing'}.")
        self._console.print(f"The whole demo took {time.monotonic() - started:.0f} s.")
        return 1 if left else 0

    def _tell(self, text: str) -> None:
        self._console.print()
        self._console.print(Rule(text, align="left"))

    def _run(self, endpoints: DevEndpoints, *arguments: str) -> None:
        """One command, as a user would type it.

        Raises:
            SystemExit: it failed.
        """
        self._console.print(f"[bold]$ scaleway-infra {' '.join(arguments)}[/]")
        command = [sys.executable, "-m", "starters", "--directory", str(self._files), *arguments]
        code = subprocess.run(command, env=os.environ | endpoints.environment(), cwd=_ROOT, check=False).returncode
        if code:
            raise SystemExit(code)

    def _change_the_file(self) -> None:
        path = self._files / f"{ENVIRONMENT}.yaml"
        data = yaml.safe_load(path.read_text())
        data["nodes"]["core"]["count"] = 2
        data["sqs"]["queues"]["lssm/mails"] = {"visibility_timeout": "5m", "dlq": True}
        data["load_balancer"]["backends"]["api"]["server_timeout"] = "2m"
        path.write_text(yaml.safe_dump(data, sort_keys=False))

    def _writes(self, endpoints: DevEndpoints) -> int:
        return int(self._ask(endpoints, "requests")["mutating"])

    def _left(self, endpoints: DevEndpoints) -> list[str]:
        """What exists besides what an empty project has."""
        kinds = self._ask(endpoints, "resources")
        return [
            f"{kind} {item.get('name') or item['id']}"
            for kind, found in kinds.items()
            for item in found["items"]
            if not item.get("default")
        ]

    def _ask(self, endpoints: DevEndpoints, what: str) -> dict[str, Any]:
        answer: dict[str, Any] = requests.get(f"{endpoints.api_url}/_emulator/{what}", timeout=_TIMEOUT).json()
        return answer

    def _wait(self, dev: Dev) -> None:
        self._console.print("Look around; Ctrl-C goes on.")
        try:
            while True:
                dev.check()
                time.sleep(0.5)
        except KeyboardInterrupt:
            self._console.print()


def main() -> int:
    """Read the command line and show the demo."""
    parser = argparse.ArgumentParser(prog="make demo", description="prod, made, changed and removed.")
    parser.add_argument("--latency", type=float, default=0.05, help="factor on Scaleway's real delays")
    parser.add_argument("--keep", action="store_true", help="before the destroy, wait for Ctrl-C")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scaleway-infra-demo-") as folder:
        return Demo(Path(folder), options.latency, Console(highlight=False)).show(keep=options.keep)


if __name__ == "__main__":
    sys.exit(main())
