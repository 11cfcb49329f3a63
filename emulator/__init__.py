"""A local Scaleway: the APIs of one region over HTTP, with their delays, their windows and their faults.

The emulator is a program of its own. It imports nothing of the engine, and the engine meets it only over the wire,
so that what works against it works against Scaleway.
"""
