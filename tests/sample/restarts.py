"""What clients see of restarts: real systemd in systemd-nspawn, HAProxy in front of one server, the probe outside.

    python -m tests.sample.restarts --root ROOT --bun BUN --restarts 20 --retries 3 --connect 1s

ROOT is the root file system of a Debian 12 with systemd; it stays as it is, an overlay takes what is written. It needs
to be root.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from probe.report import Report

BACKEND = Path(__file__).parents[2] / "sample" / "backend"
NET = f"127.44.{os.getpid() % 256}"
"""Of this process alone: two may measure at once."""
MACHINE, BALANCER = f"{NET}.5", f"{NET}.4"
HAPROXY = """
global
  stats socket {folder}/haproxy.sock
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
  timeout connect {connect}
  retries {retries}
frontend outside
  bind {balancer}:8080
  default_backend api
backend api
  option httpchk GET /healthz
  server core-01 {machine}:3000 check inter 1s fall 3 rise 2
"""
PLAIN = """
[Service]
Type=exec
ExecStart=
ExecStart=/usr/local/bin/bun src/api.ts
RuntimeDirectory=
KillMode=control-group
"""
"""The unit as most people write it: systemd starts the next server when the last one is gone."""


def wait(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def answers() -> bool:
    """Whether the application answers through the balancer."""
    try:
        with urllib.request.urlopen(f"http://{BALANCER}:8080/healthz", timeout=2):
            return True
    except OSError:
        return False


@contextmanager
def child(*command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def machine(folder: Path, lower: Path, bun: Path, plain: bool) -> Iterator[Callable[..., None]]:
    """A booted machine with two releases of the backend; yields what runs a command in it."""
    root, upper, work = folder / "root", folder / "upper", folder / "work"
    for path in (root, upper, work):
        path.mkdir()
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, root], check=True)
    try:
        shutil.copy(bun, root / "usr/local/bin/bun")
        for release in ("a", "b"):
            path = root / "srv/lssm/releases" / release
            shutil.copytree(BACKEND, path, ignore=shutil.ignore_patterns("node_modules"))
            install: list[str | Path] = [bun, "install", "--production", "--frozen-lockfile", "--silent"]
            subprocess.run(install, cwd=path, check=True)
            (path / "REVISION").write_text(f"release-{release}\n")
        broken = root / "srv/lssm/releases/broken"
        shutil.copytree(BACKEND / "src", broken / "src")
        (broken / "src/api.ts").write_text('throw new Error("broken");\n')
        (root / "srv/lssm/current").symlink_to("releases/a")
        (root / "etc/lssm").mkdir()
        (root / "etc/lssm/backend.env").write_text(f"HOST={MACHINE}\n")
        units = root / "etc/systemd/system"
        shutil.copy(BACKEND / "systemd/lssm-api.service", units)
        if plain:
            (units / "lssm-api.service.d").mkdir()
            (units / "lssm-api.service.d/plain.conf").write_text(PLAIN)
        subprocess.run(["chroot", root, "useradd", "--system", "lssm"], check=True)
        subprocess.run(["chroot", root, "systemctl", "--quiet", "mask", "ssh.service"], check=True)
        subprocess.run(["chroot", root, "systemctl", "--quiet", "enable", "lssm-api.service"], check=True)
        nspawn = [
            "systemd-nspawn",
            "--quiet",
            f"--directory={root}",
            f"--machine=restarts-{os.getpid()}",
            "--register=no",
        ]
        with child(*nspawn, "--keep-unit", "--boot", "--link-journal=no") as process:
            tasks = Path(f"/proc/{process.pid}/task")
            wait(lambda: any((task / "children").read_text() for task in tasks.iterdir()), 10)
            init = next(pid for task in tasks.iterdir() for pid in (task / "children").read_text().split())

            def run(*command: str) -> None:
                subprocess.run(["nsenter", "-t", init, "-m", "-u", "-i", "-p", "--", *command], check=True)

            try:
                yield run
            finally:
                run("systemctl", "poweroff")
                process.wait(60)
    finally:
        subprocess.run(["umount", "--lazy", root], check=True)


def switch(run: Callable[..., None], release: str, *, works: bool = True) -> None:
    """Restart with another release, and see that systemd says whether it came up."""
    run("ln", "-sfn", f"releases/{release}", "/srv/lssm/current")
    try:
        run("systemctl", "restart", "lssm-api")
    except subprocess.CalledProcessError:
        if works:
            raise
    else:
        if not works:
            raise RuntimeError("systemd took a broken release for a good one")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is tried."""

    root: Path
    """Root file system of a Debian 12 with systemd."""
    bun: Path
    """The program."""
    restarts: int = 20
    every: float = 3.0
    """Seconds of rest after each restart."""
    rate: float = 300.0
    """Requests per second."""
    sockets: int = 50
    """WebSockets."""
    retries: int = 3
    """HAProxy's."""
    connect: str = "5s"
    """HAProxy's `timeout connect`."""
    broken: bool = False
    """A release that cannot start is tried before each restart."""
    plain: bool = False
    """The unit knows of no handover."""


def measure(trial: Trial, folder: Path) -> Report:
    """Restart under load; what the probe saw."""
    config = folder / "haproxy.cfg"
    filled = {"connect": trial.connect, "retries": trial.retries, "balancer": BALANCER, "machine": MACHINE}
    config.write_text(HAPROXY.format(folder=folder, **filled))
    load = ["--rate", str(trial.rate), "--sockets", str(trial.sockets), "--duration", "3600"]
    probe = [sys.executable, "-m", "probe", "--url", f"http://{BALANCER}:8080", *load]
    report = folder / "report.json"
    with machine(folder, trial.root, trial.bun, trial.plain) as run, child("haproxy", "-f", config):
        wait(answers, 20)
        with child(*probe, "--report", report) as probing:
            time.sleep(trial.every)
            for number in range(trial.restarts):
                if trial.broken:
                    switch(run, "broken", works=False)
                    time.sleep(trial.every)
                switch(run, "ba"[number % 2])
                time.sleep(trial.every)
            probing.terminate()
            probing.wait(60)
        return Report.read(report)


def main() -> None:
    """Measure once, and say it in a line of a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--bun", type=Path, default=shutil.which("bun"))
    for name, kind in (("restarts", int), ("every", float), ("rate", float), ("sockets", int), ("retries", int)):
        parser.add_argument(f"--{name}", type=kind, default=getattr(Trial, name), help="(default: %(default)s)")
    parser.add_argument("--connect", default=Trial.connect, help="(default: %(default)s)")
    parser.add_argument("--broken", action="store_true", help="try a release that cannot start before each restart")
    parser.add_argument("--plain", action="store_true", help="a unit that knows of no handover")
    trial = Trial(**vars(parser.parse_args()))
    with tempfile.TemporaryDirectory(prefix="restarts-", dir="/var/tmp") as folder:
        report = measure(trial, Path(folder))
    unit = ("plain" if trial.plain else "handover") + (", broken between" if trial.broken else "")
    seen = report.requests
    sys.stdout.write(
        f"| {unit} | {trial.retries} | {trial.connect} | {trial.restarts} | {seen.sent} | {seen.failed} | "
        f"{report.longest_pause.seconds * 1000:.0f} | {report.longest_wait.seconds * 1000:.0f} | "
        f"{seen.latency.p999 * 1000:.0f} | {report.sockets.going_away} | {report.sockets.cut} |\n"
    )
    for failure, count in report.failures.items():
        sys.stdout.write(f"  {failure}: {count}\n")


if __name__ == "__main__":
    main()
