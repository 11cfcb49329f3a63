"""`python -m emulator --port PORT [--latency FACTOR]`."""

from __future__ import annotations

import argparse
import sys

from emulator.app import run


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="emulator", description="A local Scaleway.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.0)
    options = parser.parse_args()
    return run(options.port, options.latency)


if __name__ == "__main__":
    sys.exit(main())
