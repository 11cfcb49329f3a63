"""`python -m bench [NAME...] [--full]`: measure; the exit code is 1 if something is not as it must be."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time

from rich.console import Console
from rich.rule import Rule

from bench import BENCHES


def main() -> int:
    """Run the measurements that are named, or all; the exit code."""
    listed = "\n".join(f"  {bench.NAME:<14}{bench.SUMMARY}" for bench in BENCHES.values())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=f"Measurements of the whole, on this machine:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="*", help="which; all if none is named")
    parser.add_argument("--full", action="store_true", help="every trial of the sweeps instead of a sample")
    parser.add_argument("--list", action="store_true", help="name them and end")
    options = parser.parse_args()
    if options.list:
        print(listed)
        return 0
    if unknown := [name for name in options.name if name not in BENCHES]:
        parser.error(f"no such measurement: {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    failed = []
    for name in options.name or BENCHES:
        console.print(Rule(f"{name}: {BENCHES[name].SUMMARY}", align="left"))
        started = time.monotonic()
        report = asyncio.run(BENCHES[name].measure(full=options.full))
        report.show(console)
        console.print(f"{time.monotonic() - started:.0f} s\n")
        if report.violations:
            failed.append(name)
    if failed:
        console.print(f"Not as it must be: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Temporal's client now and then crashes the interpreter's own exit (temporalio issue 300).
    os._exit(code)
