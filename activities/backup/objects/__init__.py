"""Backups of buckets."""
