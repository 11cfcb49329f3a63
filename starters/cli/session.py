"""What every command shares: where things are, how to print, how to end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from blueprint.contract import PlanInput, Target
from blueprint.environment import Environment, parse
from blueprint.environment.loader import read
from starters.ci.job import Job
from starters.dev_state import read_endpoints
from starters.engine import Engine, target_of

T = TypeVar("T")
_WIDTH_OF_A_FILE = 300
"""Columns where no terminal says how many it has: a line is a line."""
DEV_FOLDER = Path(".dev")
"""Where `scaleway-infra dev` keeps its state, unless told otherwise."""


@dataclass
class Session:
    """One invocation of the command line.

    Attributes:
        output: "human" or "json".
        directory: folder of the environment files.
        state_dir: folder of a local `dev`, whose addresses are used where the environment names none.
        running: environment and link of a run that is being followed, for whoever interrupts.
        beginning: environment of a run that is just being started, for whoever interrupts just then.
        telling: id of a run that is being told what an operator decided, for whoever interrupts just then.
        job: the CI job that this is part of, if it is.
        waits_for_approval: whether following goes on while a run waits for approval.
    """

    output: str
    directory: Path
    state_dir: Path
    running: tuple[str, str] | None = None
    beginning: str = ""
    telling: str = ""
    job: Job = field(default_factory=Job.here)
    waits_for_approval: bool = False

    @cached_property
    def console(self) -> Console:
        """For what was asked for, on standard output; without colours where nobody would see them."""
        return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE)

    @cached_property
    def stderr(self) -> Console:
        """For everything else."""
        return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _WIDTH_OF_A_FILE)

    @property
    def is_json(self) -> bool:
        """Whether a program reads the output."""
        return self.output == "json"

    def adopt_dev(self) -> None:
        """Use a running `dev` for every address that the environment does not set."""
        if "TEMPORAL_ADDRESS" in os.environ:
            return
        endpoints = read_endpoints(self.state_dir)
        if endpoints is not None:
            for name, value in endpoints.environment().items():
                os.environ.setdefault(name, value)

    async def engine(self) -> Engine:
        """The engine, connected.

        Raises:
            TemporalUnreachable: nobody answers.
        """
        return await Engine.connect()

    def load(self, name: str) -> Loaded:
        """The environment of that name, or file.

        Raises:
            EnvironmentFileError: the file is not there, or wrong.
        """
        data = read(name, self.directory)
        return Loaded(data, parse(data))

    def print_json(self, value: Any) -> None:
        """One JSON document on standard output."""
        click.echo(json.dumps(value, indent=2, default=str))

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run the asynchronous part of a command."""
        self.adopt_dev()
        return asyncio.run(main())


@dataclass(frozen=True)
class Loaded:
    """An environment file, read and checked.

    Attributes:
        data: as the file says it: what workflows carry.
        environment: the same, validated.
    """

    data: dict[str, Any]
    environment: Environment

    @property
    def target(self) -> Target:
        """Where the environment lives."""
        return target_of(self.environment)

    def request(self, **wishes: Any) -> PlanInput:
        """What a plan is made of."""
        return PlanInput(target=self.target, environment=self.data, **wishes)


pass_session = click.make_pass_decorator(Session)
environment_argument = click.argument("environment", metavar="ENV", shell_complete=lambda c, p, i: environment_names(i))


def environment_names(incomplete: str) -> list[str]:
    """Names of environments that begin so, for completion in a shell."""
    from blueprint.environment.loader import available

    return [name for name in available() if name.startswith(incomplete)]
