"""From a file, or its plain data, to an environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from blueprint.environment.environment import Environment


def parse(data: dict[str, Any]) -> Environment:
    """The environment of a file's plain data."""
    return Environment.model_validate(data)


def load(path_or_name: str | Path, directory: Path = Path("environments")) -> Environment:
    """The environment of a file, or of a name in `directory`."""
    path = Path(path_or_name)
    if path.suffix not in {".yaml", ".yml"}:
        path = directory / f"{path_or_name}.yaml"
    return parse(yaml.safe_load(path.read_text()))
