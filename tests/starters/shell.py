"""Somebody at the command line, and what he is told."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from starters.cli.app import invoke
from tests.workflows.house import House, small

NETWORK = "create private_network.core"
"""A step that everything else of an environment waits for."""
NETWORKS = "POST /vpc/v2/regions/{region}/private-networks"
"""What it asks of Scaleway."""


@dataclass
class Said:
    """How a command line ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, read by a program."""
        return json.loads(self.out)


class Shell:
    """Somebody at the command line, with one environment file of his own, without a terminal.

    Attributes:
        home: where the commands do what they say.
        data: what the file says.
    """

    def __init__(self, home: House, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.data = small()
        self._folder = folder
        self._capsys = capsys
        self.write()

    def write(self, **sections: Any) -> None:
        """The file, with these sections besides or instead."""
        self.data |= sections
        (self._folder / "test.yaml").write_text(yaml.safe_dump(self.data))

    def __call__(self, *arguments: str, output: str = "human") -> Said:
        """Run one command in this process."""
        self._capsys.readouterr()
        code = invoke(["--directory", str(self._folder), "--output", output, *arguments])
        printed = self._capsys.readouterr()
        assert "\x1b[" not in printed.out + printed.err, "colours without a terminal"
        return Said(code, printed.out, printed.err)

    def process(self, *arguments: str) -> subprocess.Popen[str]:
        """Run one command in a process of its own, without standard input."""
        return subprocess.Popen(
            [sys.executable, "-m", "starters", "--directory", str(self._folder), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
