"""Managed PostgreSQL: a PostgreSQL server for each instance, with the databases, users and privileges of the API."""
