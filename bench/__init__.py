"""Measurements of the whole: real Temporal, real worker, local Scaleway. Each has a must-be and says whether it holds."""

from bench import fault_sweep

BENCHES = {bench.NAME: bench for bench in (fault_sweep,)}
"""Every measurement, by name."""
