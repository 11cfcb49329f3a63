"""The environment file: its models, its checks, its schema.

read(name) -> plain data, checked      what a workflow carries
parse(data) -> Environment             what that data means
load(name) -> Environment              both at once
json_schema()                          for editors
"""

from blueprint.environment.environment import Environment
from blueprint.environment.loader import available, load, parse, read
from blueprint.environment.schema import json_schema

__all__ = ["Environment", "available", "json_schema", "load", "parse", "read"]
