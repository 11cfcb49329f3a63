"""What is sent to a node about its agent, and what it answers: the scripts of a setup, with a folder of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, NamedTuple

from activities.kinds.node.script import EnvText, call, look_script, note, put, script, setup_functions, setup_of
from activities.ssh.script import Script
from blueprint.agent import CONFIGURATION, PACKAGE, VARIABLES

_FOLDER = "/var/lib/scaleway-infra/agent"


class Agent(NamedTuple):
    """What a look at a node found."""

    fields: dict[str, Any]
    """As a resource declares them, but for the env file's secrets."""
    versions: dict[str, int]
    """How many versions the secrets of the env file had when it was written."""


def look() -> Script:
    """Tells what there is."""
    running = f"printf 'running\\t%s\\n' \"$(systemctl is-active {PACKAGE})\""
    return Script("look-at-agent", f"{look_script()}\n{running}\n", {"folder": _FOLDER})


def agent_of(answer: str) -> Agent | None:
    """What the look told; None if the node has no agent of ours."""
    setup = setup_of(answer)
    if setup is None:
        return None
    told = setup.fields
    fields = {
        "reachable": True,
        "installed": told["packages"].get(PACKAGE, False),
        "package": setup.app["package"],
        "files": told["files"],
        "unit": told["units"].get(PACKAGE, ""),
        "running": "running\tactive" in answer.splitlines(),
        "env_file": told["env_file"],
    }
    return Agent(fields, setup.versions)


def set_up(fields: Mapping[str, Any], contents: Mapping[str, str], url: str, env: EnvText) -> Script:
    """Makes the agent as declared.

    Args:
        fields: of the resource, without references.
        contents: of the files, by path.
        url: where the package comes from; empty if it has to be there.
        env: the variables.
    """
    functions = f"{setup_functions()}\n{(files(__package__) / 'scripts/agent.sh').read_text()}"
    return Script("set-up-agent", script(functions, _calls(fields, contents, url, env)), {"folder": _FOLDER})


def _calls(fields: Mapping[str, Any], contents: Mapping[str, str], url: str, env: EnvText) -> Iterator[str]:
    yield "lock"
    yield call("package", PACKAGE, *([url, fields["package"]] if url else []))
    for path, file in fields["files"].items():
        yield put(path, file["mode"], file["owner"], contents[path])
    yield put(VARIABLES, "0600", "root:root", env.text)
    yield call("agent", PACKAGE, CONFIGURATION, VARIABLES)
    noted = {
        "users": {},
        "packages": {PACKAGE: True},
        "directories": {},
        "files": fields["files"],
        "units": {PACKAGE: "enabled"},
        "app": {"package": fields["package"]},
        "env_file": fields["env_file"],
    }
    yield from note(_FOLDER, noted, env)
