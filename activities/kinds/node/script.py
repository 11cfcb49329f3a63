"""What is sent to a node, and what it answers. Pure: no connection, no clock."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from blueprint.kinds.instance import DIGEST_LENGTH

_SCRIPTS = files(__package__) / "scripts"
_FOLDER = "/var/lib/scaleway-infra/setup"
"""Where a node remembers what was declared; root's alone."""


class EnvText(NamedTuple):
    """An env file, ready to be written."""

    text: str
    """All of it: it holds secrets, and goes to the node and nowhere else."""
    versions: Mapping[str, int]
    """How many versions each of its secrets had when it was made."""


def look_script() -> str:
    """The script that tells what there is."""
    return (_SCRIPTS / "look.sh").read_text()


def setup_script(fields: Mapping[str, Any], contents: Mapping[str, str], env: EnvText | None) -> str:
    """The script that makes a node as declared. Whatever it writes is in it, so that nothing is an argument there.

    Args:
        fields: of the resource, without references.
        contents: of the files, by path.
        env: the env file; None if there is none.
    """
    return script(setup_functions(), _calls(fields, contents, env))


def setup_functions() -> str:
    """The functions that calls of a setup are made of."""
    return (_SCRIPTS / "setup.sh").read_text()


def script(functions: str, calls: Iterable[str]) -> str:
    """Functions, and calls of them.

    Without standard input: that is the script itself, and a command could swallow the rest of it.
    """
    lines = "\n".join(calls)
    return f"{functions}\nsetup() {{\n{lines}\n}}\nsetup </dev/null\n"


def _calls(fields: Mapping[str, Any], contents: Mapping[str, str], env: EnvText | None) -> Iterator[str]:
    yield "lock"
    yield call("host", fields["hostname"])
    if fields["packages"]:
        yield call("packages", *fields["packages"])
    for name, user in fields["users"].items():
        yield call("user", name, user["home"], user["shell"], ",".join(user["groups"]))
    for path, directory in fields["directories"].items():
        yield call("directory", path, directory["mode"], directory["owner"])
    for path, file in fields["files"].items():
        yield put(path, file["mode"], file["owner"], contents[path])
    if env:
        yield put(fields["env_file"]["path"], "0600", "root:root", env.text)
    yield call("units", *fields["units"])
    yield from note(_FOLDER, fields, env)


def note(folder: str, fields: Mapping[str, Any], env: EnvText | None) -> Iterator[str]:
    """Calls that note what was declared. Last, so that a setup that was cut off shows as one."""
    yield put(f"{folder}/declared", "0600", "root:root", _declared(fields))
    yield put(f"{folder}/record.json", "0600", "root:root", json.dumps(_record(fields, env)))


def call(*words: str) -> str:
    """A line that calls one of the script's functions."""
    return shlex.join(words)


def put(path: str, mode: str, owner: str, content: str) -> str:
    """Lines that write a file."""
    return f"{call('put', path, mode, owner)} <<'END'\n{base64.encodebytes(content.encode()).decode()}END"


def _declared(fields: Mapping[str, Any]) -> str:
    """What a look has to tell about: sort and name in each line."""
    names: dict[str, Sequence[str]] = {
        "user": list(fields["users"]),
        "package": list(fields["packages"]),
        "directory": list(fields["directories"]),
        "file": list(fields["files"]),
        "unit": list(fields["units"]),
        "env": [fields["env_file"]["path"]] if "env_file" in fields else [],
    }
    return "".join(f"{sort}\t{name}\n" for sort, those in names.items() for name in those)


def _record(fields: Mapping[str, Any], env: EnvText | None) -> dict[str, Any]:
    """What the machine itself cannot tell of its setup. In one line, as JSON."""
    record: dict[str, Any] = {"app": fields["app"]}
    if env:
        env_file = {name: fields["env_file"][name] for name in ("path", "variables", "values")}
        digest = hashlib.sha256(env.text.encode()).hexdigest()
        record["env_file"] = env_file | {"digest": digest, "versions": dict(env.versions)}
    return record


# -- answer ------------------------------------------------------------------------------------------------------------


class Setup(NamedTuple):
    """What a look at a node found."""

    fields: dict[str, Any]
    """As a resource declares them, but for the env file's secrets."""
    versions: dict[str, int]
    """How many versions the secrets of the env file had when it was written."""
    app: dict[str, Any]
    """The application's section of the file, when the node was last set up."""


def setup_of(answer: str) -> Setup | None:
    """What the look script told; None if the node was never set up."""
    told = [line.split("\t") for line in answer.splitlines()]
    records = [json.loads("\t".join(line[1:])) for line in told if line[0] == "record"]
    if not records:
        return None
    (record,) = records
    found: dict[str, Any] = {sort: {} for sort in ("users", "packages", "directories", "files", "units")}
    fields = {"reachable": True, "hostname": None, **found, "app": record["app"]}
    env_file = dict(record["env_file"]) if "env_file" in record else None
    versions = env_file.pop("versions") if env_file else {}
    intact = ["0600", "root:root", env_file.pop("digest")] if env_file else None
    untouched = False
    for sort, *words in told:
        match sort, words:
            case "hostname", [name]:
                fields["hostname"] = name
            case "user", [name, home, shell, groups]:
                found["users"][name] = {"home": home, "shell": shell, "groups": groups.split(",") if groups else []}
            case "package", [name]:
                found["packages"][name] = True
            case "directory", [path, mode, owner]:
                found["directories"][path] = {"mode": mode, "owner": owner}
            case "file", [path, mode, owner, checksum]:
                found["files"][path] = {"mode": mode, "owner": owner, "digest": checksum[:DIGEST_LENGTH]}
            case "unit", [name, state]:
                found["units"][name] = state
            case "env", [_, *now]:
                untouched = now == intact
    if env_file:
        fields["env_file"] = env_file | {"untouched": untouched}
    return Setup(fields, versions, record["app"])
