"""Backups, drills, retention and restores as durable stories."""
