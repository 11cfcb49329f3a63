"""PostgreSQL's clients of Debian 13, for comparison: from version 16 on, pg_dump compresses with zstd by itself.

They live in a root file system of their own, made once and kept in the cache, and are run by chroot, or here by way of
its dynamic loader.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SUITE = "trixie"
PACKAGE = "postgresql-client-17"
PROGRAMS = ("pg_dump", "pg_dumpall", "pg_restore", "psql", "vacuumdb")


def root() -> Path | None:
    """Their root file system, made if it is not there yet; None if it cannot be made here."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scaleway-infra"
    place = cache / f"{SUITE}-{PACKAGE}"
    if place.is_dir():
        return place
    if os.geteuid() or not shutil.which("debootstrap"):
        return None
    cache.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"making-{SUITE}-", dir=cache))
    try:
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGE}", SUITE, str(scratch / "root")]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            return None
        subprocess.run(["chroot", str(scratch / "root"), "apt-get", "clean"], check=True)
        (scratch / "root").rename(place)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return place


def path(folder: Path) -> str:
    """A PATH with these clients before the system's; empty if they cannot be had here.

    Args:
        folder: to make, for scripts that run them.
    """
    if not (there := root()):
        return ""
    folder.mkdir()
    (loader,), (libraries,) = there.glob("lib*/ld-linux*"), (there / "usr/lib").glob("*-linux-gnu*")
    (binaries,) = there.glob("usr/lib/postgresql/*/bin")
    for name in PROGRAMS:
        script = folder / name
        command = f'"{loader}" --argv0 "$0" --library-path "{libraries}" "{binaries}/{name}" "$@"'
        script.write_text(f"#!/bin/sh\nexec {command}\n")
        script.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"
