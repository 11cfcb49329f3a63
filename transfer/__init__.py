"""Carries a PostgreSQL database to object storage and back: `python3 transfer.pyz dump|load FOLDER`.

A program of its own, as `probe` is: it runs on a node, knows neither the engine nor the store's keys, and needs
Python's standard library, PostgreSQL's clients, zstd and age. `transfer.files` says how it is talked to.
"""
