"""Tests of the probe, against small real servers."""
