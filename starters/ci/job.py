"""The CI job that a command runs in: where its outputs, its summary and its annotations go.

A job starts and watches; it decides nothing and holds nothing. What it knows are a commit and the places that the
standard variables of GitHub and GitLab name. In a shell there are none, and nothing but the terminal is written to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from blueprint.errors import EngineError

LONGEST_SUMMARY = 1_000_000
"""Bytes. GitHub drops the whole summary of a step that is longer than a mebibyte."""
MOST_ANNOTATIONS = 10
"""GitHub shows no more errors of one step."""
_AT_LINE = re.compile(r"^\s*line (\d+): (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """Where a command runs and whom it reports to."""

    commit: str = ""
    """What the job was started for; empty in a shell."""
    link: str = ""
    """The job's own page."""
    outputs: Path | None = None
    """File of `name=value` lines that later jobs read: GITHUB_OUTPUT, or a dotenv report of GitLab."""
    summary: Path | None = None
    """File of Markdown that the job's page shows: GITHUB_STEP_SUMMARY, or an artifact of GitLab."""
    annotates: bool = False
    """Whether GitHub's commands in the log put messages on the page of the job and into the diff."""

    @classmethod
    def here(cls, outputs: Path | None = None, summary: Path | None = None) -> Job:
        """The job that this process runs in, by the variables of GitHub and GitLab.

        Args:
            outputs: instead of GITHUB_OUTPUT.
            summary: instead of GITHUB_STEP_SUMMARY.
        """
        environ = os.environ
        return cls(
            commit=environ.get("GITHUB_SHA", "") or environ.get("CI_COMMIT_SHA", ""),
            link=job_link(environ),
            outputs=outputs or _path(environ, "GITHUB_OUTPUT"),
            summary=summary or _path(environ, "GITHUB_STEP_SUMMARY"),
            annotates="GITHUB_ACTIONS" in environ,
        )

    def output(self, **values: str | int | bool) -> None:
        """Hand values to later steps and jobs; numbers and words without line breaks."""
        if self.outputs:
            with self.outputs.open("a") as file:
                for name, value in values.items():
                    file.write(f"{name}={str(value).lower() if isinstance(value, bool) else value}\n")

    def summarize(self, markdown: str) -> None:
        """Add to the job's page, as much as there is room for."""
        if self.summary is None:
            return
        text = f"{markdown.rstrip()}\n\n".encode()
        room = LONGEST_SUMMARY - (self.summary.stat().st_size if self.summary.exists() else 0)
        with self.summary.open("ab") as file:
            file.write(text[:room].decode(errors="ignore").encode())

    def annotate(self, error: EngineError) -> None:
        """Put an error where people look first: into the diff if it names lines of a file, else on the job's page."""
        if not self.annotates:
            return
        lines = _AT_LINE.findall(error.message)[:MOST_ANNOTATIONS]
        for number, message in lines:
            click.echo(_command("error", message, file=error.subject, line=number), err=True)
        if not lines:
            click.echo(_command("error", str(error), title=error.code), err=True)

    def notice(self, message: str) -> None:
        """Put a sentence on the job's page."""
        if self.annotates:
            click.echo(_command("notice", message), err=True)


def job_link(environ: Mapping[str, str]) -> str:
    """The page of the CI run, or of the job under GitLab; empty in a shell."""
    server, repository, run = (environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    link = f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""
    return link or environ.get("CI_JOB_URL", "")


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    return Path(environ[name]) if environ.get(name) else None


def _command(name: str, message: str, **properties: str) -> str:
    """A command in GitHub's log; what has a meaning there is written as it wants it."""
    told = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in properties.items())
    return f"::{name}{f' {told}' if told else ''}::{_escaped(message)}"


def _escaped(text: str, more: str = "") -> str:
    for character in f"%\r\n{more}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text
