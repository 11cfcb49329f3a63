"""Tests of the blueprint."""
