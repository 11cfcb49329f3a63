"""Tests of the workflows: a real Temporal server, the real SDK over HTTP, a local Scaleway."""
