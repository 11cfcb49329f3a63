"""Load from outside, as clients make it, and what they saw: `python -m probe --help`.

A program of its own: it knows the service's addresses and nothing of the engine, so that what it reports is evidence.
Arrivals do not wait for answers, and each wait counts from the moment at which the request was due. A service that
stands still for a second is thus seen to stand still, by every request that was due meanwhile.
"""

from probe.load import Load
from probe.report import Report
from probe.run import run_load

__all__ = ["Load", "Report", "run_load"]
