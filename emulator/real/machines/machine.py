"""One machine: its disk, its boots, its end.

Its processes and mounts are in namespaces of its own, so all of it is gone with the first process, however that ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from emulator.real.machines import cgroups
from emulator.real.machines.cloud_config import first_boot
from emulator.real.machines.stages import before_login, once_up
from emulator.real.process import Process

KEY_TYPES = ("ed25519", "ecdsa")
SSH_PORT = 22
SHUTDOWN = 15.0
"""Seconds that a shutdown may take before it is a power cut."""
ANSWER = 0.5
"""Seconds that its SSH server may take to accept a connection."""
REBOOTED = 133
"""systemd-nspawn's exit code when the machine has asked for a reboot by itself."""
APART = ("unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--propagation", "slave")
"""Namespaces for processes and mounts. systemd-nspawn alone leaves its machine running when it is killed; the kernel
ends everything in a process namespace with its first process, and unmounts what nobody sees any more."""


@dataclass(frozen=True)
class Spec:
    """What a machine is.

    Attributes:
        name: of the server, as a host name.
        address: private address.
        keys: public keys that root may log in with: read at every boot, as Scaleway's images do.
        user_data: what its first boot is to do.
    """

    name: str
    address: str
    keys: tuple[str, ...]
    user_data: bytes


class Machine:
    """One machine.

    Args:
        folder: its own, named by the server's id: disk and console.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fingerprints = ""
        """Its SSH host keys, as `ssh-keygen -l` prints them; empty before its first boot."""
        self._cgroup = f"scaleway-{folder.name}"
        self._process: Process | None = None

    @property
    def console(self) -> Path:
        """What it prints while it boots."""
        return self.folder / "console.log"

    @property
    def runs(self) -> bool:
        """Whether it is on."""
        return self._process is not None and self._process.runs

    @property
    def rebooted(self) -> bool:
        """Whether it is off because somebody in it asked for a reboot."""
        return self._process is not None and self._process.exit_code == REBOOTED

    @property
    def pid(self) -> int | None:
        """Process whose end is the end of the machine; None while it is off."""
        return self._process.pid if self._process and self._process.runs else None

    async def boot(self, rootfs: Path, spec: Spec) -> None:
        """Switch it on; returns when it begins to boot.

        Raises:
            OSError: a program cannot be run.
            subprocess.CalledProcessError: its host keys cannot be made.
        """
        await asyncio.to_thread(self._write_disk, spec)
        self._process = Process([*APART, "sh", "-euc", self._start(rootfs, spec)], self.console, death="KILL")
        await self._process.start()

    async def answers(self, address: str) -> bool:
        """Whether its SSH server listens."""
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(address, SSH_PORT), ANSWER)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    async def shut_down(self, patience: float = SHUTDOWN) -> None:
        """Switch it off, in order if it gets the time. The disk stays."""
        if self._process:
            await self._process.stop(patience, ask=signal.SIGTERM if patience else signal.SIGKILL)
            self._process = None
        await asyncio.to_thread(cgroups.remove, self._cgroup)

    async def remove(self) -> None:
        """Switch it off without waiting, and forget its disk."""
        await self.shut_down(0.0)
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    def know(self, hosts: str) -> None:
        """Tell it names of the network, whether it is on or off.

        Args:
            hosts: its /etc/hosts.
        """
        path = self.folder / "hosts"
        if path.exists() and path.read_text() == hosts:
            return
        # In its place and in one write: the machine has the file itself mounted.
        with path.open("r+b" if path.exists() else "wb", buffering=0) as file:
            file.write(hosts.encode())
            file.truncate()

    # -- the disk, while it is off -----------------------------------------------------------------------------

    def _write_disk(self, spec: Spec) -> None:
        """What is known before a boot, straight into the upper layer. Only paths that are fixed here are written."""
        upper = self.folder / "upper"
        fresh = not (upper / "var/lib/cloud/instance/final").exists()
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(exist_ok=True)
        boot = first_boot(spec.user_data)
        _write(upper / "etc/ssh/sshd_config.d/address.conf", f"ListenAddress {spec.address}\n")
        _write(upper / "root/.ssh/authorized_keys", "".join(f"{key}\n" for key in (*spec.keys, *boot.keys)), 0o600)
        for folder in ("root", "root/.ssh"):
            (upper / folder).chmod(0o700)
        keys = [upper / f"etc/ssh/ssh_host_{kind}_key" for kind in KEY_TYPES]
        if fresh:
            _write(upper / "etc/hostname", f"{boot.hostname or spec.name}\n")
            for kind, key in zip(KEY_TYPES, keys, strict=True):
                key.unlink(missing_ok=True)
                _keygen("-q", "-N", "", "-t", kind, "-C", f"root@{boot.hostname or spec.name}", "-f", str(key))
            _write(upper / "var/lib/cloud/instance/init", before_login(boot), 0o700)
            # Last: where it is, the disk is whole.
            _write(upper / "var/lib/cloud/instance/final", once_up(boot), 0o700)
        self.fingerprints = "".join(_keygen("-lf", f"{key}.pub") for key in keys if key.exists())

    def _start(self, rootfs: Path, spec: Spec) -> str:
        """The shell script that becomes the machine."""
        command = ["systemd-nspawn", "--quiet", "--directory=root", f"--machine={spec.name}", "--register=no"]
        command += ["--keep-unit", "--boot", "--link-journal=no", "--resolv-conf=copy-host"]
        command += [f"--bind={self.folder / 'hosts'}:/etc/hosts"]
        lines = [
            *cgroups.entering(self._cgroup),
            f"cd {shlex.quote(str(self.folder))}",
            f"mount -t overlay overlay -o {shlex.quote(f'lowerdir={rootfs},upperdir=upper,workdir=work')} root",
            # systemd-nspawn keeps what it shares with a machine here: each sees only its own.
            "mkdir -p /run/systemd/nspawn",
            "mount -t tmpfs tmpfs /run/systemd/nspawn",
            f"exec {shlex.join(command)}",
        ]
        return "\n".join(lines)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # It may have become a link that leads out of the machine, or the mark of a deletion.
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    path.touch(mode=mode)
    path.write_text(text)
    path.chmod(mode)


def _keygen(*arguments: str) -> str:
    return subprocess.run(["ssh-keygen", *arguments], capture_output=True, text=True, check=True).stdout
