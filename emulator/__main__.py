"""`python -m emulator --port PORT [--latency FACTOR] [--state FILE] [--real FOLDER]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from emulator.app import run


def factor(text: str) -> float:
    """A latency factor: a number, 0 or more."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def main() -> int:
    """Read the command line and run; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m emulator", description="A local Scaleway on 127.0.0.1.")
    parser.add_argument("--port", type=int, required=True, help="of the Scaleway API")
    parser.add_argument(
        "--latency", type=factor, default=0.0, help="factor on Scaleway's real delays (0: none, 1: as they are)"
    )
    parser.add_argument("--state", type=Path, help="SQLite file that keeps the world over restarts")
    parser.add_argument("--real", type=Path, help="folder of real machines, balancers and databases behind the API")
    options = parser.parse_args()
    return run(options.port, options.latency, options.state, options.real)


if __name__ == "__main__":
    sys.exit(main())
