"""The sample backend."""
