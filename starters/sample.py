"""The sample backend as a git repository, with releases that are good and releases that are broken in every way."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

SOURCE = Path(__file__).resolve().parents[1] / "sample" / "backend"

Fault = Literal["does not build", "does not start", "fails health", "dies in soak", "migration fails"]

_AUTHOR = ("-c", "user.name=sample", "-c", "user.email=sample@example.org")

EDITS: Mapping[Fault, tuple[str, str, str]] = {
    "does not build": (
        "package.json",
        '"dependencies": {',
        '"dependencies": {\n    "no-such-package": "file:./missing",',
    ),
    "does not start": ("src/api.ts", "", 'throw new Error("a release that does not start");\n'),
    "fails health": ("src/app.ts", '.get("/healthz", () => ({', '.get("/healthz", ({ set }) => ((set.status = 500), {'),
    # Late enough to be in the pool, early enough to be watched. It ends in order, so nothing in flight is lost.
    "dies in soak": ("src/api.ts", "", 'setTimeout(() => process.kill(process.pid, "SIGTERM"), 4000);\n'),
    "migration fails": ("migrations/900_broken.sql", "", "ALTER TABLE no_such_table ADD COLUMN more text;\n"),
}
"""By fault: the file, the text to replace (nothing: the new text comes first), and what it becomes."""


class SampleRepository:
    """A work tree whose commits are releases of the sample backend.

    Args:
        folder: where; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0
        if not folder.exists():
            ignored = shutil.ignore_patterns("node_modules")
            shutil.copytree(SOURCE, folder, ignore=ignored)
            (folder / ".gitignore").write_text("node_modules/\n")
            self._git("init", "--quiet", "--initial-branch", "main")

    def release(self, subject: str = "", fault: Fault | None = None) -> str:
        """Commit a release, good unless a fault is asked for, on top of the last good one. Returns the commit."""
        self._number += 1
        (self.folder / "RELEASE").write_text(f"{self._number}\n")
        if fault:
            self._break(fault)
        self._git("add", "--all")
        self._git(*_AUTHOR, "commit", "--quiet", "--message", subject or f"Release {self._number}")
        commit = self._git("rev-parse", "HEAD")
        if fault:
            # The next release does not have the fault, but comes after it.
            self._git(*_AUTHOR, "revert", "--no-edit", "HEAD")
            self._git("tag", f"broken-{self._number}", commit)
        return commit

    def push(self, bare: Path) -> None:
        """Bring every commit and tag to a bare repository."""
        self._git("push", "--quiet", "--force", "--tags", str(bare), "main")

    def _break(self, fault: Fault) -> None:
        name, old, new = EDITS[fault]
        path = self.folder / name
        text = path.read_text() if path.exists() else ""
        if old and old not in text:
            raise ValueError(f"{name} of the sample backend has no {old!r} any more")
        path.write_text(text.replace(old, new, 1) if old else new + text)

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
