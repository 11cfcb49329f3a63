"""Every touch of the outside world: Scaleway's API, its object storage, its queues, Temporal's schedules.

One file for each product; `Lifecycle` is the shape that all kinds share, `steps` and `planning` are the Temporal
activities that drive them.
"""
