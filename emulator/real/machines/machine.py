"""One machine: its disk, its boots, its end.

Its processes and mounts are in namespaces of its own, so all of it is gone with the first process, however that ended.
Its processes are in control groups of its own: two systemds in one group would end each other's services.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from emulator.real.machines.cloud_config import FirstBoot, User, WrittenFile
from emulator.real.process import Process

CGROUPS = Path("/sys/fs/cgroup")
HIERARCHIES = ("systemd", "unified")
"""Control group hierarchies of a computer that still has the first version: those that systemd uses."""
KEY_TYPES = ("ed25519", "ecdsa")
SSH_PORT = 22
SHUTDOWN = 15.0
"""Seconds that a shutdown may take before it is a power cut."""
_APART = ("unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--propagation", "slave")
"""Namespaces for processes and mounts. systemd-nspawn alone leaves its machine running when it is killed; the kernel
ends everything in a process namespace with its first process, and unmounts what nobody sees any more."""
FIRST_BOOT = "var/lib/cloud/first-boot"
_UNIT = """\
[Unit]
Description=First boot as the user data says
ConditionPathExists=!/var/lib/cloud/first-boot.done
After=network.target ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c '/var/lib/cloud/first-boot >>/var/log/cloud-init-output.log 2>&1; >/var/lib/cloud/first-boot.done'

[Install]
WantedBy=multi-user.target
"""
_CLOUD_INIT = """\
#!/bin/sh
# Answers `cloud-init status [--wait]` as the real one does.
while [ "$2" = --wait ] && [ ! -e /var/lib/cloud/first-boot.done ]; do sleep 0.1; done
[ -e /var/lib/cloud/first-boot.done ] && echo 'status: done' || echo 'status: running'
"""


@dataclass(frozen=True)
class Spec:
    """What a machine is.

    Attributes:
        id: of the server.
        name: host name.
        address: private address.
        root_keys: public keys that root may log in with: read at every boot, as Scaleway's images do.
        first: what its first boot does.
    """

    id: str
    name: str
    address: str
    root_keys: tuple[str, ...]
    first: FirstBoot


class Machine:
    """One machine.

    Args:
        folder: its own: disk and console.
        server_id: of the server that it is.
    """

    def __init__(self, folder: Path, server_id: str) -> None:
        self.folder = folder
        self._cgroup = f"scaleway-{server_id[:13]}"
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
    def pid(self) -> int | None:
        """Process whose end is the end of the machine."""
        return self._process.pid if self._process else None

    def fingerprints(self) -> str:
        """Its SSH host keys, as `ssh-keygen -l` prints them; empty before its first boot."""
        keys = sorted((self.folder / "upper/etc/ssh").glob("ssh_host_*_key.pub"))
        lines = [
            subprocess.run(["ssh-keygen", "-lf", key], capture_output=True, text=True, check=True).stdout
            for key in keys
        ]
        return "".join(lines)

    async def boot(self, rootfs: Path, spec: Spec) -> None:
        """Switch it on; returns when it begins to boot.

        Raises:
            OSError: a program cannot be run.
        """
        await self.shut_down(0.0)
        fresh = not (self.folder / "upper").exists()
        await asyncio.to_thread(self._write_disk, spec, fresh=fresh)
        script = self.folder / "start.sh"
        script.write_text(self._start_script(rootfs, spec, fresh=fresh))
        self._process = Process([*_APART, "sh", "-eu", str(script)], self.console, death="KILL")
        await self._process.start()

    async def answers(self, address: str) -> bool:
        """Whether its SSH port is open."""
        try:
            _, writer = await asyncio.open_connection(address, SSH_PORT)
        except OSError:
            return False
        writer.close()
        return True

    async def shut_down(self, patience: float = SHUTDOWN) -> None:
        """Switch it off, in order if it gets the time. The disk stays."""
        if self._process:
            await self._process.stop(patience, ask=signal.SIGTERM if patience else signal.SIGKILL)
            self._process = None
        await asyncio.to_thread(_remove_cgroups, self._cgroup)

    async def remove(self) -> None:
        """Switch it off without waiting, and forget its disk."""
        await self.shut_down(0.0)
        await asyncio.to_thread(shutil.rmtree, self.folder, True)

    # -- the disk ----------------------------------------------------------------------------------------------

    def _write_disk(self, spec: Spec, *, fresh: bool) -> None:
        """Write what needs no other file of the system straight into the upper layer."""
        upper = self.folder / "upper"
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        _write(upper / "etc/hosts", f"127.0.0.1 localhost\n{spec.address} {spec.name}\n")
        _write(upper / "etc/ssh/sshd_config.d/address.conf", f"ListenAddress {spec.address}\n")
        keys = [*spec.root_keys, *spec.first.keys]
        _write(upper / "root/.ssh/authorized_keys", "".join(f"{key}\n" for key in keys), 0o600)
        (upper / "root/.ssh").chmod(0o700)
        (upper / "root").chmod(0o700)
        if not fresh:
            return
        _write(upper / "etc/hostname", f"{spec.first.hostname or spec.name}\n")
        for kind in KEY_TYPES:
            key = upper / f"etc/ssh/ssh_host_{kind}_key"
            comment = f"root@{spec.name}"
            subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", kind, "-C", comment, "-f", key], check=True)
        _write(upper / FIRST_BOOT, "\n".join(("#!/bin/sh", *_commands(spec.first))) + "\n", 0o700)
        _write(upper / "etc/systemd/system/cloud-init.service", _UNIT)
        _write(upper / "usr/bin/cloud-init", _CLOUD_INIT, 0o755)
        wanted = upper / "etc/systemd/system/multi-user.target.wants/cloud-init.service"
        wanted.parent.mkdir(parents=True, exist_ok=True)
        wanted.symlink_to("/etc/systemd/system/cloud-init.service")
        for number, file in enumerate(spec.first.files):
            source = self.folder / "files" / str(number)
            source.parent.mkdir(exist_ok=True)
            source.write_bytes(file.content)

    def _start_script(self, rootfs: Path, spec: Spec, *, fresh: bool) -> str:
        root = self.folder / "root"
        overlay = f"lowerdir={rootfs},upperdir={self.folder / 'upper'},workdir={self.folder / 'work'}"
        lines = [
            *_enter_cgroups(self._cgroup),
            f"mount -t overlay overlay -o {shlex.quote(overlay)} {shlex.quote(str(root))}",
            # systemd-nspawn keeps what it shares with a machine here: each sees only its own.
            "mkdir -p /run/systemd/nspawn",
            "mount -t tmpfs tmpfs /run/systemd/nspawn",
        ]
        if fresh:
            lines += _first_steps(spec.first, root, self.folder / "files")
        command = ["systemd-nspawn", "--quiet", f"--directory={root}", f"--machine={spec.name}", "--register=no"]
        command += ["--keep-unit", "--boot", "--link-journal=no", "--resolv-conf=copy-host"]
        lines.append(f"exec {shlex.join(command)}")
        return "\n".join(lines) + "\n"


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _first_steps(first: FirstBoot, root: Path, files: Path) -> Iterator[str]:
    """Shell lines for users and files, with the machine's disk mounted: owners are looked up in it."""
    inside = f"chroot {shlex.quote(str(root))}"
    for user in first.users:
        yield from _make_user(user, root, inside)
    for number, file in enumerate(first.files):
        yield from _write_file(file, root, inside, files / str(number))


def _make_user(user: User, root: Path, inside: str) -> Iterator[str]:
    name = shlex.quote(user.name)
    options = ["--system"] if user.system else ["--create-home"]
    for group in user.groups:
        yield f"{inside} groupadd --force {shlex.quote(group)}"
    if user.groups:
        options += ["--groups", shlex.quote(",".join(user.groups))]
    options += ["--user-group", "--shell", shlex.quote(user.shell)]
    yield f"{inside} id {name} >/dev/null 2>&1 || {inside} useradd {' '.join(options)} {name}"
    for rule in user.sudo:
        yield f"echo {shlex.quote(f'{user.name} {rule}')} >>{shlex.quote(str(root))}/etc/sudoers.d/90-cloud-init-users"
    if user.keys:
        home = f"{inside} sh -c {shlex.quote(f'eval echo ~{user.name}')}"
        keys = shlex.quote("\n".join(user.keys))
        yield f'home=$({home}); mkdir -p "{root}$home/.ssh"; echo {keys} >"{root}$home/.ssh/authorized_keys"'
        yield f'{inside} chown -R {name}: "$home/.ssh"; chmod -R go= "{root}$home/.ssh"'


def _write_file(file: WrittenFile, root: Path, inside: str, source: Path) -> Iterator[str]:
    target = shlex.quote(f"{root}{file.path}")
    yield f"mkdir -p {shlex.quote(str(Path(f'{root}{file.path}').parent))}"
    yield f"cat {shlex.quote(str(source))} {'>>' if file.append else '>'}{target}"
    yield f"chmod {shlex.quote(file.permissions)} {target}"
    yield f"{inside} chown {shlex.quote(file.owner)} {shlex.quote(file.path)}"


def _commands(first: FirstBoot) -> Sequence[str]:
    """The script of the first boot, run by the machine itself."""
    lines = []
    if first.packages:
        names = shlex.join(first.packages)
        missing = "$(for package in " + names + "; do dpkg -s $package >/dev/null 2>&1 || echo $package; done)"
        install = "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes $missing"
        lines += [f"missing={missing}", f'[ -z "$missing" ] || {{ {install}; }}']
    return [*lines, *first.commands]


# -- control groups ----------------------------------------------------------------------------------------------------


def _roots() -> list[Path]:
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [CGROUPS / name for name in HIERARCHIES if (CGROUPS / name).is_dir()]


def _enter_cgroups(name: str) -> Iterator[str]:
    for root in _roots():
        yield f"mkdir -p {root / name}; echo $$ >{root / name}/cgroup.procs"


def _remove_cgroups(name: str) -> None:
    for root in _roots():
        for folder, _, _ in os.walk(root / name, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
