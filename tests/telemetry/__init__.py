"""Tests of what the engine tells of itself."""
