"""Backups of databases and buckets."""
