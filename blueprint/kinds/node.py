"""Nodes that run the application, kept as declared: what is set up on them, and which release they run.

What Scaleway's API knows of a machine ends at its power. These two go on inside, over SSH. cloud-init does the same at
the first boot, so that a new node needs little more; what is declared later, or changed by hand, is found and mended
here. Nothing is restarted: units that run with older settings are restarted node by node, by a release.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

from blueprint.contract import Target
from blueprint.environment import Environment
from blueprint.environment.app import App, EnvFile
from blueprint.kinds.instance import digest
from blueprint.kinds.kind import Kind
from blueprint.kinds.rdb import IN_SECRET_MANAGER
from blueprint.kinds.rdb import INSTANCE as POSTGRESQL
from blueprint.kinds.redis import CLUSTER as REDIS
from blueprint.kinds.secret import llm_routing
from blueprint.kinds.sqs import SQS
from blueprint.release.contract import Site
from blueprint.release.env_file import Placeholder, pieces, secrets_of
from blueprint.release.site import site_of
from blueprint.resource import Resource, ref, secret

SETUP = "setup"
RELEASE = "release"
"""Last parts of the two kinds' names, after the node's own."""


def release_id(nic_id: str) -> str:
    """Id of what a node runs. By its NIC, so that a pool that has the NIC's address holds on to it too."""
    return f"{RELEASE}/{nic_id}"


def releases_behind(environment: Environment, backend: str) -> list[str]:
    """Keys of the releases without which the nodes of a pool must not be in it."""
    site = _site(environment)
    return [f"node_release.{label}" for label, _ in _nodes(environment)] if site and site.backend == backend else []


def _site(environment: Environment) -> Site | None:
    target = Target(org=environment.org, env=environment.env, region=environment.region, zone=environment.zone)
    return site_of(environment, target)


def _nodes(environment: Environment) -> Iterator[tuple[str, str]]:
    """Label ("core-01") and name of each node of the application."""
    if app := environment.app:
        for index, name in enumerate(environment.node_names(app.nodes), 1):
            yield f"{app.nodes}-{index:02d}", name


# -- setup -------------------------------------------------------------------------------------------------------------


def _setups(environment: Environment) -> Iterable[Resource]:
    if not (app := environment.app):
        return
    additions = environment.nodes[app.nodes].cloud_init
    files, contents = _files(environment, app)
    for label, name in _nodes(environment):
        values = _values(environment, app.env_file, label, name) if app.env_file else {}
        yield Resource(
            key=f"node_setup.{label}",
            kind="node_setup",
            name=f"{name}/{SETUP}",
            parent=f"server.{label}",
            fields={
                "reachable": True,
                "hostname": name,
                "users": {
                    user.name: {"home": user.home_folder, "shell": user.shell, "groups": sorted(user.groups)}
                    for user in additions.users
                },
                "packages": dict.fromkeys(additions.packages, True),
                "directories": _directories(app),
                "files": files,
                "units": dict.fromkeys(app.units, "enabled"),
                "app": app.model_dump(mode="json", exclude={"env_file"}),
                **({"env_file": _env_file(app.env_file, values)} if app.env_file else {}),
            },
            inputs={"contents": contents},
            depends_on=(
                f"server_power.{label}",
                "gateway_bastion.main",
                # Where the bastion is known from when it is first met.
                f"secret.{environment.names.bastion_secret}",
                *sorted(needed for name in secrets_of(values) for needed in _fillers(environment, name)),
            ),
        )


def _directories(app: App) -> dict[str, dict[str, str]]:
    found = {app.directory: {"mode": "0755", "owner": f"{app.user}:{app.user}"}}
    if app.env_file:
        found.setdefault(str(PurePosixPath(app.env_file.path).parent), {"mode": "0755", "owner": "root:root"})
    return found


def _files(environment: Environment, app: App) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """What the file system says of each file, and what is in it."""
    fields, contents = {}, {}
    for written in environment.nodes[app.nodes].cloud_init.write_files:
        fields[written.path] = {"mode": written.permissions, "owner": written.owner}
        contents[written.path] = written.content
    if app.llm_routing:
        fields[app.llm_routing] = {"mode": "0644", "owner": "root:root"}
        contents[app.llm_routing] = json.dumps(llm_routing(environment), indent=2) + "\n"
    return {path: fields[path] | {"digest": digest(contents[path].encode())} for path in fields}, contents


# -- env file ----------------------------------------------------------------------------------------------------------


def _env_file(env_file: EnvFile, values: dict[str, list[Any]]) -> dict[str, Any]:
    return {
        "path": env_file.path,
        "variables": list(values),
        "values": values,
        "secrets": IN_SECRET_MANAGER,
        "untouched": True,
    }


def _values(environment: Environment, env_file: EnvFile, label: str, node: str) -> dict[str, list[Any]]:
    """Every variable in parts: see `blueprint.release.env_file`."""
    return {
        name: [
            piece if isinstance(piece, str) else _part(environment, piece, label, node) for piece in pieces(template)
        ]
        for name, template in env_file.values.items()
    }


def _part(environment: Environment, placeholder: Placeholder, label: str, node: str) -> Any:
    part = _meaning(environment, placeholder, label, node)
    return {"url": part} if placeholder.for_url else part


def _meaning(environment: Environment, placeholder: Placeholder, label: str, node: str) -> Any:
    names, name = environment.names, placeholder.name
    match placeholder.source:
        case "node":
            return node if name == "name" else ref(f"private_nic.{label}", name)
        case "postgresql":
            return ref(POSTGRESQL, name)
        case "redis":
            return ref(REDIS, name)
        case "sqs":
            return ref(SQS, name)
        case "queue":
            fifo = environment.sqs is not None and environment.sqs.queues[name].fifo
            return ref(f"queue.{names.queue(name, fifo=fifo)}", "url")
        case "bucket":
            return names.bucket(name)
        case _:
            return secret(names.secret_path, name, placeholder.field)


def _fillers(environment: Environment, name: str) -> Iterator[str]:
    """Keys of the steps after which a secret has its value."""
    names, sqs, monitoring = environment.names, environment.sqs, environment.monitoring
    told_once = {names.api_key_secret(key): f"api_key.{key}" for key in environment.applications}
    told_once |= {names.sqs_secret(key): f"sqs_credentials.{key}" for key in (sqs.credentials if sqs else ())}
    told_once |= {
        names.cockpit_secret(key): f"cockpit_token.{key}" for key in (monitoring.tokens if monitoring else ())
    }
    yield f"secret.{name}"
    if name in told_once:
        yield told_once[name]


# -- release -----------------------------------------------------------------------------------------------------------


def _releases(environment: Environment) -> Iterable[Resource]:
    if not (site := _site(environment)):
        return
    for label, name in _nodes(environment):
        yield Resource(
            key=f"node_release.{label}",
            kind="node_release",
            name=f"{name}/{RELEASE}",
            parent=f"server.{label}",
            fields={"as_released": True},
            # Where the environment lives is known to whoever carries it out.
            inputs={"site": site.model_dump(mode="json", exclude={"target"}), "nic_id": ref(f"private_nic.{label}")},
            depends_on=(f"node_setup.{label}",),
        )


_PERMISSION_SETS = ("InstancesReadOnly", "VPCGatewayReadOnly", "SecretManagerFullAccess")
"""Nodes are reached by SSH: what takes Scaleway's API is the way there, and the bastion's host key."""

KINDS = (
    Kind(
        name="node_setup",
        title="setup of a node",
        product="instance",
        resources=_setups,
        permission_sets=_PERMISSION_SETS,
        parent="server",
        dies_with_parent=True,
        builds=True,
        settles=False,
        lingers=False,
    ),
    Kind(
        name="node_release",
        title="release on a node",
        product="instance",
        resources=_releases,
        permission_sets=_PERMISSION_SETS,
        builds=True,
        updates_in_turn=True,
        settles=False,
        lingers=False,
    ),
)
