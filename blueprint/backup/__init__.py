"""Backups: what they consist of, where they are kept, which stay, and whether they are good. Pure."""
