"""`python -m probe --url URL ...`: load from outside; the exit code is 0 if nothing failed, 1 otherwise."""

from __future__ import annotations

import argparse
import asyncio
import math
import resource
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from probe.connections import pinnable
from probe.load import MIX, Kind, Load
from probe.run import run_load
from probe.table import show

READY = "under load"
"""The line that says that every WebSocket is open and requests arrive."""


def amount(text: str) -> float:
    """A number, 0 or more."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError(text)
    return value


def number(text: str) -> int:
    """A whole number, 0 or more."""
    if (value := int(text)) < 0:
        raise ValueError(text)
    return value


def positive(text: str) -> int:
    """A whole number, 1 or more."""
    if (value := int(text)) < 1:
        raise ValueError(text)
    return value


def address(text: str) -> str:
    """The URL of a service, with no path."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError(text)
    return text


def shares(text: str) -> Mapping[Kind, int]:
    """Shares of the kinds: `get=3,post=1`."""
    mix = {Kind(name.strip()): int(share) for name, share in (part.split("=") for part in text.split(","))}
    if min(mix.values()) < 0 or Kind.JOB in mix:
        raise ValueError(text)
    return mix


def parse(arguments: list[str] | None = None) -> tuple[Load, Path | None]:
    """Read the command line: what to do, and where to write the report."""
    usual = Load(())
    parser = argparse.ArgumentParser(
        prog="python -m probe",
        description="Load from outside, and what the clients saw. SIGINT and SIGTERM end it early, with a report.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--url", type=address, action="append", required=True, help="of the service; may be repeated")
    parser.add_argument("--connect", metavar="ADDRESS[:PORT]", help="connect there, whatever the names resolve to")
    parser.add_argument("--ca", type=Path, help="PEM file of the authorities to trust, in place of the system's")
    parser.add_argument("--rate", type=amount, default=usual.rate, help="requests per second")
    parser.add_argument("--sockets", type=number, default=usual.sockets, help="WebSockets held open")
    parser.add_argument("--duration", type=amount, default=usual.duration, help="seconds")
    parser.add_argument("--jobs", type=amount, default=usual.jobs, help="jobs per second, on top of the rate")
    mix = ",".join(f"{kind}={share}" for kind, share in MIX.items())
    parser.add_argument("--mix", type=shares, default=mix, help="shares of the kinds of request")
    parser.add_argument("--visitors", type=positive, default=usual.visitors, help="clients that keep their connections")
    parser.add_argument("--timeout", type=amount, default=usual.timeout, help="seconds after which a wait has failed")
    parser.add_argument("--slow", type=amount, default=usual.slow, help="seconds that a slow answer takes")
    parser.add_argument("--report", type=Path, help="file to write the report to, as JSON")
    options = parser.parse_args(arguments)
    if options.connect and not all(pinnable(url) for url in options.url):
        parser.error("--connect needs a name in --url: an address is connected to as it stands")
    values = vars(options)
    report: Path | None = values.pop("report")
    return Load(urls=tuple(values.pop("url")), **values), report


async def probe(load: Load, report: Path | None, console: Console) -> int:
    """Run it; the exit code."""
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)

    def ready() -> None:
        # Whoever started the probe reads this through a pipe, and waits for it.
        console.print(f"{READY}: {load.rate:g} requests/s, {load.sockets} sockets, {load.duration:g} s")
        console.file.flush()

    seen = await run_load(load, stop, ready)
    if report:
        seen.write(report)
    show(seen, console)
    return 1 if seen.failed else 0


def main() -> int:
    """Read the command line and run; the exit code."""
    load, report = parse()
    # While a service stands still, each request on a new connection holds a descriptor; 1024 are soon used up.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return asyncio.run(probe(load, report, Console(highlight=False, soft_wrap=not sys.stdout.isatty())))


if __name__ == "__main__":
    sys.exit(main())
