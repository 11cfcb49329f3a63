"""The root file system that all machines share: Debian 12 with what a node needs, made once and kept in a cache."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

SUITE = "bookworm"
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "openssh-server", "git", "sudo", "ca-certificates", "iproute2", "curl", "procps",
    "unzip", "zstd", "postgresql-client",
)  # fmt: skip
BUN_VERSION = "1.4.5"
BUN_CACHE = "/var/cache/bun"
SAMPLE = Path(__file__).resolve().parents[3] / "sample" / "backend"
"""The sample backend, in a checkout: its packages are put into Bun's cache, so that no node needs a network for it."""

_IDLE_UNITS = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer",
    "systemd-tmpfiles-clean.timer", "console-getty.service", "getty.target", "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service", "e2scrub_reap.service", "systemd-timesyncd.service",
)  # fmt: skip
_DROPIN = f'[Manager]\nDefaultEnvironment="BUN_INSTALL_CACHE_DIR={BUN_CACHE}"\n'
_SSHD = "PasswordAuthentication no\nUseDNS no\nMaxStartups 100:30:200\nMaxSessions 100\n"


class RootfsError(Exception):
    """The root file system cannot be made; the text says why."""


def folder() -> Path:
    """Where it is, or will be: its name follows from the recipe."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "scaleway-infra" / f"rootfs-{_digest()}"


async def ready(log: Path) -> Path:
    """The root file system, made if it is not there yet: about a minute. Two programs that want it make it once.

    Args:
        log: file that the programs print to.

    Raises:
        RootfsError: a program failed.
    """
    target = folder()
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    async with _alone(target.parent / "rootfs.lock"):
        if not target.is_dir():
            scratch = Path(tempfile.mkdtemp(prefix="making-", dir=target.parent))
            try:
                await _make(scratch / "root", log)
                (scratch / "root").rename(target)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return target


def _digest() -> str:
    recipe = hashlib.sha256(Path(__file__).read_bytes())
    for name in ("package.json", "bun.lock"):
        if (SAMPLE / name).exists():
            recipe.update((SAMPLE / name).read_bytes())
    return recipe.hexdigest()[:12]


@asynccontextmanager
async def _alone(path: Path) -> AsyncIterator[None]:
    with path.open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        yield


async def _make(root: Path, log: Path) -> None:
    await _run(log, "debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root))
    await _put_bun(root, log)
    (root / "etc/systemd/system.conf.d").mkdir(parents=True)
    (root / "etc/systemd/system.conf.d/bun.conf").write_text(_DROPIN)
    with (root / "etc/environment").open("a") as file:
        file.write(f"BUN_INSTALL_CACHE_DIR={BUN_CACHE}\n")
    (root / "etc/ssh/sshd_config.d/scaleway.conf").write_text(_SSHD)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    await _run(log, "systemctl", f"--root={root}", "mask", *_IDLE_UNITS)
    # Each machine gets an id, a name and resolvers of its own.
    for name in ("etc/machine-id", "etc/hostname", "etc/resolv.conf"):
        (root / name).unlink(missing_ok=True)
    (root / "etc/machine-id").touch()
    await _run(log, "chroot", str(root), "apt-get", "clean")


async def _put_bun(root: Path, log: Path) -> None:
    """Bun's program from its npm package, and the sample's packages in its cache."""
    with tempfile.TemporaryDirectory() as scratch:
        package = f"{_bun_package()}@{BUN_VERSION}"
        await _run(log, "npm", "pack", "--silent", "--pack-destination", scratch, package)
        archive = next(Path(scratch).glob("*.tgz"))
        await _run(log, "tar", "-xzf", str(archive), "-C", scratch)
        bun = root / "usr/local/bin/bun"
        shutil.copy(Path(scratch) / "package/bin/bun", bun)
        bun.chmod(0o755)
        cache = root / BUN_CACHE.lstrip("/")
        cache.mkdir(parents=True, exist_ok=True)
        if (SAMPLE / "bun.lock").exists():
            work = Path(scratch) / "sample"
            work.mkdir()
            for name in ("package.json", "bun.lock"):
                shutil.copy(SAMPLE / name, work / name)
            registry = (await _run(log, "npm", "config", "get", "registry")).strip()
            command = [str(bun), "install", "--production", "--frozen-lockfile", "--cwd", str(work)]
            settings = {"BUN_INSTALL_CACHE_DIR": str(cache), "NPM_CONFIG_REGISTRY": registry}
            await _run(log, *command, env=os.environ | settings)
        await _run(log, "chmod", "-R", "a+rwX", str(cache))


def _bun_package() -> str:
    machine = platform.machine()
    if machine == "aarch64":
        return "@oven/bun-linux-aarch64"
    has_avx2 = " avx2" in Path("/proc/cpuinfo").read_text()
    return "@oven/bun-linux-x64" if has_avx2 else "@oven/bun-linux-x64-baseline"


async def _run(log: Path, *command: str, env: dict[str, str] | None = None) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    text = output.decode(errors="replace")
    with log.open("a") as file:
        file.write(text)
    if process.returncode:
        last = "\n".join(text.splitlines()[-5:])
        raise RootfsError(f"{command[0]} ended with {process.returncode}: {last}")
    return text
