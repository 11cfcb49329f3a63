"""Measurements of the whole, with the real Temporal, a real worker and the local Scaleway, each with its must-be."""

from bench import crash_sweep, fault_sweep

BENCHES = {bench.NAME: bench for bench in (fault_sweep, crash_sweep)}
"""Every measurement, by name."""
