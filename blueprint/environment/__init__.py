"""The environment file: its models, its checks, its schema."""

from blueprint.environment.environment import Environment
from blueprint.environment.loader import load, parse

__all__ = ["Environment", "load", "parse"]
