"""Tests of what is real behind the API."""
