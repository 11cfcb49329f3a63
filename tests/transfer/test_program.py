"""The program as one file."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import transfer
from activities.backup import program

SOURCES = sorted(Path(transfer.__file__).parent.glob("*.py"))


def test_it_is_the_same_wherever_it_is_packed() -> None:
    """So that a node that has it can be told by its digest."""
    packed = program.archive()
    program.archive.cache_clear()

    assert program.archive() == packed


def test_it_needs_nothing_but_pythons_own_library() -> None:
    """A node has nothing else."""
    roots = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Import):
                roots |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                roots.add((node.module or "").split(".")[0])

    assert roots - sys.stdlib_module_names == {"transfer"}


def test_it_runs_alone(tmp_path: Path) -> None:
    """In Python's isolated mode, from a folder that has nothing else; without a job it says so."""
    path = tmp_path / "transfer.pyz"
    path.write_bytes(program.archive())
    command = [sys.executable, "-I", "-S", str(path), "dump", str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert told.returncode == 1
    assert "job.json" in told.stderr
    assert '"state": "failed"' in (tmp_path / "progress.json").read_text()
