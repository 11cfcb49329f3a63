"""From a file, or its plain data, to an environment; every error of the file at once."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from blueprint.environment.checks import check
from blueprint.environment.environment import Environment
from blueprint.environment.problems import Problem, listing, suggestion
from blueprint.environment.source import Source
from blueprint.environment.wording import problem
from blueprint.errors import EnvironmentFileError

_SUFFIXES = {".yaml", ".yml"}


def parse(data: Any, source: str = "the environment file") -> Environment:
    """The environment that plain data describes.

    Args:
        data: what the file says, as JSON has it.
        source: the name of the file, for errors.

    Raises:
        EnvironmentFileError: with every error, a line each.
    """
    environment, problems = _examine(data)
    if environment is None or problems:
        raise _error(source, problems)
    return environment


def load(path_or_name: str | Path, directory: str | Path = "environments") -> Environment:
    """The environment of a file, or of a name in a directory.

    Raises:
        EnvironmentFileError: with every error, a line each, with its line in the file; or there is no such file.
    """
    return parse(read(path_or_name, directory))


def read(path_or_name: str | Path, directory: str | Path = "environments") -> dict[str, Any]:
    """The plain data of a file that was checked: what a workflow carries, and `parse` takes.

    Raises:
        EnvironmentFileError: as `load`.
    """
    path = _find(path_or_name, Path(directory))
    try:
        source = Source(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentFileError(
            f"cannot be read: {error}", subject=str(path), remedy="give a readable UTF-8 file"
        ) from None
    problems = source.problems
    if not problems:
        environment, problems = _examine(source.data)
        if environment is not None:
            problems += _check_outside(environment, path, by_name=path != Path(path_or_name))
    if problems:
        raise _error(str(path), problems, source.line)
    data: dict[str, Any] = source.data
    return data


def available(directory: str | Path = "environments") -> list[str]:
    """Names of the environments that have a file in a directory."""
    return sorted(path.stem for path in Path(directory).glob("*") if path.suffix in _SUFFIXES)


def _examine(data: Any) -> tuple[Environment | None, list[Problem]]:
    if data is None:
        return None, [Problem((), "the file is empty; org, env and network are needed at least")]
    if not isinstance(data, dict):
        return None, [Problem((), f"the file is a {type(data).__name__}; a mapping that starts with org and env fits")]
    try:
        environment = Environment.model_validate(data)
    except ValidationError as error:
        return None, [problem(details) for details in error.errors(include_url=False)]
    return environment, check(environment)


def _check_outside(environment: Environment, path: Path, *, by_name: bool) -> list[Problem]:
    """What depends on more than the text: the name the file was found by, and the time zones that are known here."""
    found: list[Problem] = []
    if by_name and path.stem != environment.env:
        found.append(
            Problem(("env",), f"{environment.env!r} is not the name of the file; env: {path.stem} fits {path.name}")
        )
    zones = zoneinfo.available_timezones()
    for name, schedule in environment.schedules:
        if schedule and schedule.time_zone not in zones:
            hint = suggestion(schedule.time_zone, sorted(zones)).partition("one of")[0]
            found.append(
                Problem(
                    ("schedules", name, "time_zone"),
                    f"{schedule.time_zone!r} is not a time zone; {hint or 'a name such as Europe/Paris fits'}",
                )
            )
    return found


def _find(path_or_name: str | Path, directory: Path) -> Path:
    path = Path(path_or_name)
    if path.suffix in _SUFFIXES:
        candidates = [path]
    else:
        candidates = [directory / f"{path_or_name}{suffix}" for suffix in sorted(_SUFFIXES)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    names = available(directory)
    raise EnvironmentFileError(
        "there is no such environment",
        subject=str(path_or_name),
        remedy=f"{directory}/ has {listing(names)}; {suggestion(path_or_name, names)}"
        if names
        else f"{directory}/ has no environment files; write one such as {directory}/prod.yaml",
    )


def _error(
    source: str, problems: Sequence[Problem], line: Callable[[tuple[str | int, ...]], int] | None = None
) -> EnvironmentFileError:
    lines = [
        f"line {line(found.path)}: {found}" if line and found.path else str(found)
        for found in sorted(problems, key=lambda found: line(found.path) if line else 0)
    ]
    count = "1 error" if len(lines) == 1 else f"{len(lines)} errors"
    return EnvironmentFileError(
        f"{count}\n" + "\n".join(f"  {text}" for text in lines),
        subject=source,
        remedy="correct the file; docs/environment.md explains every key",
    )
