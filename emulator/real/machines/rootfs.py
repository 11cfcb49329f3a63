"""The root file system that all machines share: Debian 12 with what a node needs, made once and kept in a cache."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import platform
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from emulator.real.machines import image
from emulator.real.process import Process
from emulator.real.servers import run

SAMPLE = Path(__file__).resolve().parents[3] / "sample" / "backend"
"""The sample backend, in a checkout: its packages are put into Bun's cache, so that no node needs a network for it."""
LOCKED = ("package.json", "bun.lock")
ATTEMPT = 0.1
"""Seconds between two looks whether a program has ended, or another emulator has made it."""

log = logging.getLogger(__name__)


class RootfsError(Exception):
    """The root file system cannot be made; the text says why."""


class Rootfs:
    """The root file system of this recipe, in the cache that all emulators of a user share.

    Args:
        log: file that the programs which make it print to.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._recipe = _digest()
        self.doing = ""
        """The step that is being done; empty if it is not being made."""

    @property
    def path(self) -> Path:
        """Where it is, or will be: the name follows from the recipe."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cache / "scaleway-infra" / f"rootfs-{self._recipe}"

    async def ready(self) -> Path:
        """Its folder, made if it is not there yet: about a minute. Two programs that want it make it once.

        Raises:
            RootfsError: a program failed.
            OSError: a program or file cannot be used.
        """
        if self.path.is_dir():
            return self.path
        self.path.parent.mkdir(parents=True, exist_ok=True)
        async with self._alone():
            if not self.path.is_dir():
                await self._make()
        return self.path

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        with (self.path.parent / "rootfs.lock").open("w") as lock:
            while True:
                # Not in a thread that waits for it: that could not be cancelled.
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                self.doing = "waiting for another local Scaleway that makes it"
                await asyncio.sleep(ATTEMPT)
            try:
                yield
            finally:
                self.doing = ""

    async def _make(self) -> None:
        # Whoever began one and has no lock any more was killed.
        for left in self.path.parent.glob("making-*"):
            await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix="making-", dir=self.path.parent))
        try:
            await self._fill(scratch / "root", scratch)
            (scratch / "root").rename(self.path)
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)

    async def _fill(self, root: Path, scratch: Path) -> None:
        self._tell(f"Debian {image.SUITE}, with debootstrap")
        await self._run(
            "debootstrap", "--variant=minbase", f"--include={','.join(image.PACKAGES)}", image.SUITE, str(root)
        )
        self._tell("Bun and the packages of the sample backend, from npm's registry")
        registry = (await run(["npm", "config", "get", "registry"], env=os.environ)).strip()
        await self._put_bun(root, scratch)
        await self._warm(root, scratch / "sample", registry)
        self._tell("services and settings")
        for path, text in (image.FILES | image.settings(registry) | image.PROGRAMS).items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o755 if path in image.PROGRAMS else 0o644)
        await self._run("systemctl", f"--root={root}", "mask", *image.MASKED)
        await self._run("systemctl", f"--root={root}", "enable", *image.ENABLED)
        await self._run("chroot", str(root), "apt-get", "clean")
        # Each machine gets keys, an id, a name and resolvers of its own.
        for name in ("etc/machine-id", "etc/hostname", "etc/resolv.conf"):
            (root / name).unlink(missing_ok=True)
        for key in (root / "etc/ssh").glob("ssh_host_*"):
            key.unlink()
        (root / "etc/machine-id").touch()

    async def _put_bun(self, root: Path, scratch: Path) -> None:
        package = f"{_bun_package()}@{image.BUN_VERSION}"
        await self._run("npm", "pack", "--silent", "--pack-destination", str(scratch), package)
        (archive,) = scratch.glob("*.tgz")
        await self._run("tar", "-xzf", str(archive), "-C", str(scratch))
        bun = root / "usr/local/bin/bun"
        shutil.copy(scratch / "package/bin/bun", bun)
        bun.chmod(0o755)

    async def _warm(self, root: Path, project: Path, registry: str) -> None:
        cache = root / image.BUN_CACHE.lstrip("/")
        cache.mkdir(parents=True, exist_ok=True)
        if (SAMPLE / "bun.lock").exists():
            project.mkdir()
            for name in LOCKED:
                shutil.copy(SAMPLE / name, project / name)
            bun = str(root / "usr/local/bin/bun")
            where = {"BUN_INSTALL_CACHE_DIR": str(cache), "NPM_CONFIG_REGISTRY": registry}
            command = (bun, "install", "--production", "--frozen-lockfile", "--cwd", str(project))
            await self._run(*command, env=os.environ | where)
        await self._run("chmod", "-R", "a+rwX", str(cache))

    def _tell(self, doing: str) -> None:
        self.doing = doing
        log.info("the machines' root file system is made: %s", doing)

    async def _run(self, *command: str, env: Mapping[str, str] | None = None) -> None:
        process = Process(command, self._log, env)
        await process.start()
        try:
            while process.runs:
                await asyncio.sleep(ATTEMPT)
        finally:
            await process.stop()
        if process.exit_code:
            raise RootfsError(f"{command[0]} ended with {process.exit_code}: {process.last_words()}")


def _digest() -> str:
    recipe = hashlib.sha256()
    locked = [SAMPLE / name for name in LOCKED if (SAMPLE / name).exists()]
    for path in (Path(__file__), Path(image.__file__), *locked):
        recipe.update(path.read_bytes())
    return recipe.hexdigest()[:12]


def _bun_package() -> str:
    if platform.machine() == "aarch64":
        return "@oven/bun-linux-aarch64"
    has_avx2 = " avx2" in Path("/proc/cpuinfo").read_text()
    return "@oven/bun-linux-x64" if has_avx2 else "@oven/bun-linux-x64-baseline"
