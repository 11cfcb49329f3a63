"""A runner of GitHub's workflow files, as far as ours go: jobs in order, steps in a shell, signals as GitHub has them.

Steps that use an action are not run: what they would do, a checkout and a Python, is there.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from starters.rehearsal import ROOT
from tests.starters.github_api import REPOSITORY, TOKEN

WORKFLOWS = ROOT / ".github" / "workflows"
SIGNALS = ((signal.SIGINT, 7.5), (signal.SIGTERM, 2.5), (signal.SIGKILL, 5.0))
"""What GitHub sends when a job is cancelled, and for how many seconds it waits then."""
LONGEST_STEP = 120.0
"""Seconds; a step that hangs fails its test."""


@dataclass
class Step:
    """How a step ended."""

    code: int
    """Its exit code; the signal's number below zero if it was ended by one."""
    log: str
    """What it printed."""
    outputs: dict[str, str]
    """What it handed to later steps."""
    summary: str
    """What it put on the job's page."""


@dataclass
class Job:
    """How a job ended: its steps that ran in a shell, by their names."""

    name: str
    """As "plan (prod)"."""
    steps: dict[str, Step] = field(default_factory=dict)

    @property
    def last(self) -> Step:
        """The step that it ended with."""
        return list(self.steps.values())[-1]


@dataclass
class Running:
    """A step that is under way in its shell."""

    process: subprocess.Popen[str]
    folder: Path

    def cancel(self, most: int = len(SIGNALS)) -> int:
        """Do as GitHub does: signal the shell, wait, signal harder; how many signals it took."""
        for sent, (number, patience) in enumerate(SIGNALS[:most], 1):
            self.process.send_signal(number)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
            return sent
        raise AssertionError("the step does not end")

    def ended(self) -> Step:
        """Wait for its end."""
        log, _ = self.process.communicate(timeout=LONGEST_STEP)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 0)
            raise AssertionError("the step has left a process behind")
        # Pytest shows it if the test fails.
        sys.stdout.write(f"exit {self.process.returncode}\n{log}")
        lines = (self.folder / "outputs").read_text().splitlines()
        outputs = dict(line.split("=", 1) for line in lines)
        return Step(self.process.returncode, log, outputs, (self.folder / "summary").read_text())


class Runner:
    """Runs workflow files for events.

    Args:
        folder: where it works; `checkout` in it is the repository.
        github_url: of the REST API.
        variables: `vars` of the repository.
    """

    def __init__(self, folder: Path, github_url: str, variables: dict[str, str]) -> None:
        self.checkout = folder / "checkout"
        self._folder = folder
        self._url = github_url
        self._variables = variables
        self._numbers = itertools.count(1)
        (self.checkout / "environments").mkdir(parents=True)
        (self.checkout / "deploy").mkdir()
        (self.checkout / ".venv").symlink_to(sys.prefix)
        # Packages are installed already, and tests run already: this is one of them.
        for name in ("deploy/virtualenv", "make"):
            path = self.checkout / name
            path.write_text('#!/bin/sh\necho "$0 $*"\n')
            path.chmod(0o755)

    def run(self, file: str, event: str, commit: str, document: dict[str, Any] | None = None) -> list[Job]:
        """Every job of a workflow file that an event asks for; those after a failed one are not begun."""
        ended: list[Job] = []
        failed: set[str] = set()
        for name, job in self._jobs(file).items():
            needed = job.get("needs", [])
            if failed & ({needed} if isinstance(needed, str) else set(needed)):
                failed.add(name)
                continue
            strategy = job.get("strategy", {})
            for cell in self._cells(job):
                github = self._github(event, commit, document or {})
                if not evaluate(job.get("if", "true"), {"github": github, "matrix": cell}):
                    continue
                title = f"{name} ({', '.join(cell.values())})" if cell else name
                ended.append(self._job(title, self._contexts(github, cell), file, job))
                if ended[-1].last.code:
                    failed.add(name)
                    if strategy.get("fail-fast", True):
                        break
        return ended

    def begin(self, file: str, job: str, environment: str, event: str, commit: str) -> Running:
        """The last step of one job: to be cancelled."""
        found = self._jobs(file)[job]
        contexts = self._contexts(self._github(event, commit, {}), {"environment": environment})
        return self._step(file, found, found["steps"][-1], contexts)

    # -- parts -------------------------------------------------------------------------------------------------

    def _jobs(self, file: str) -> dict[str, Any]:
        jobs: dict[str, Any] = yaml.safe_load((WORKFLOWS / file).read_text())["jobs"]
        return jobs

    def _cells(self, job: dict[str, Any]) -> list[dict[str, str]]:
        matrix = job.get("strategy", {}).get("matrix", {})
        return [dict(zip(matrix, values, strict=True)) for values in itertools.product(*matrix.values())]

    def _job(self, title: str, contexts: dict[str, Any], file: str, job: dict[str, Any]) -> Job:
        ended = Job(title)
        for step in job["steps"]:
            if "run" in step:
                ended.steps[step["name"]] = self._step(file, job, step, contexts).ended()
                if ended.last.code:
                    break
        return ended

    def _step(self, file: str, job: dict[str, Any], step: dict[str, Any], contexts: dict[str, Any]) -> Running:
        folder = self._folder / f"step-{next(self._numbers)}"
        folder.mkdir()
        for name in ("outputs", "summary"):
            (folder / name).touch()
        (folder / "event.json").write_text(json.dumps(contexts["github"]["event"]))
        script = folder / "script.sh"
        script.write_text(filled(step["run"], contexts))
        workflow = yaml.safe_load((WORKFLOWS / file).read_text())
        given = workflow.get("env", {}) | job.get("env", {}) | step.get("env", {})
        github = contexts["github"]
        environment = {
            # This process's own, as far as a shell needs it: nothing of Temporal's, of Scaleway's.
            "PATH": f"{self.checkout}:{os.environ['PATH']}",
            "HOME": str(self._folder),
            "PYTHONPATH": str(ROOT),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": "octocat",
            "GITHUB_API_URL": self._url,
            "GITHUB_EVENT_NAME": github["event_name"],
            "GITHUB_EVENT_PATH": str(folder / "event.json"),
            "GITHUB_OUTPUT": str(folder / "outputs"),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": "4711",
            "GITHUB_SERVER_URL": "https://github.test",
            "GITHUB_SHA": github["sha"],
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            **{name: filled(value, contexts) for name, value in given.items()},
        }
        process = subprocess.Popen(
            # As GitHub starts a step that names no shell.
            ["bash", "-e", str(script)],
            cwd=self.checkout,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return Running(process, folder)

    def _contexts(self, github: dict[str, Any], cell: dict[str, str]) -> dict[str, Any]:
        # A repository without secrets: Temporal of the tests asks for no key.
        return {"github": github, "matrix": cell, "vars": self._variables, "secrets": {}}

    def _github(self, event: str, commit: str, document: dict[str, Any]) -> dict[str, Any]:
        return {"event_name": event, "sha": commit, "event": document, "repository": REPOSITORY, "token": TOKEN}


def filled(text: str, contexts: dict[str, Any]) -> str:
    """A text with its `${{ expressions }}` evaluated."""
    return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: str(evaluate(found[1], contexts)), text)


def evaluate(expression: str, contexts: dict[str, Any]) -> Any:
    """What an expression gives: `||`, `&&` and `==` over literals and paths, which is what our files use."""
    for operator, combine in OPERATORS.items():
        left, found, right = expression.partition(f" {operator} ")
        if found:
            return combine(evaluate(left, contexts), evaluate(right, contexts))
    if expression == "true":
        return True
    if expression.startswith("'"):
        return expression.strip("'")
    value: Any = contexts
    for name in expression.split("."):
        value = value.get(name, "") if isinstance(value, dict) else ""
    return value


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "||": lambda left, right: left or right,
    "&&": lambda left, right: left and right,
    "==": lambda left, right: left == right,
}
