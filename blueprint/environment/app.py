"""The application: where its releases come from, what a node needs to run one, and how one replaces another."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from blueprint.environment.base import Section
from blueprint.environment.scalars import Label, Matching, Seconds

AbsolutePath = Annotated[str, Matching(r"/[A-Za-z0-9._/-]+", "an absolute path, such as /srv/lssm", limit=255)]
VariableName = Annotated[str, Matching("[A-Z_][A-Z0-9_]*", "the name of a variable, such as DATABASE_URL", limit=100)]
UnitName = Annotated[str, Matching("[A-Za-z0-9@_.-]+", "a systemd unit's name without .service, such as lssm-api")]
Command = Annotated[str, Field(min_length=1, max_length=1000)]
"""A shell command. It is shown and recorded, so it must hold no secret."""


class Migration(Section):
    """How a release changes the database: once, from one node, before any node runs it."""

    command: Command = "bun run migrate"
    """Applies what is pending, in the new release's folder, with the variables of the env file."""
    pending: Command | None = "bun run migrate --pending"
    """Prints what would be applied, a line each: `pending <name>`, with ` irreversible` behind it where there is no way
    back. Left empty, every release is taken to migrate, and nothing to be irreversible."""
    lock_timeout: Seconds = 5.0
    """How long a statement may wait for a lock: a migration that waits makes everybody behind it wait."""
    statement_timeout: Seconds = 300.0
    """How long one statement may take."""
    timeout: Seconds = 900.0
    """How long all of it may take."""


class EnvFile(Section):
    """The variables of the application, written on each node with mode 0600; its units restart when it changes.

    Values may hold `${...}`: `${node.name}`, `${node.address}`, `${postgresql.address}`, `${postgresql.port}`,
    `${redis.address}`, `${redis.port}`, `${sqs.endpoint}`, `${queue:<domain>/<what>}` (its URL),
    `${bucket:<domain>/<what>}` (its name), `${secret:<name>}`, or `${secret:<name>:<field>}` for a secret that holds
    JSON; and with `|url` before the brace the value is quoted for a URL.
    """

    path: AbsolutePath = "/etc/lssm/backend.env"
    """Where it is written."""
    values: dict[VariableName, str] = Field(default={})
    """Variables, by name."""


class App(Section):
    """The application that runs on the nodes of one role behind one pool of the load balancer."""

    repository: Annotated[str, Matching(r"[A-Za-z0-9@+._:/~-]+", "the address of a git repository", limit=500)] = Field(
        examples=["https://git.example.org/backend.git"]
    )
    """Git repository that nodes fetch from."""
    nodes: Label = "core"
    """One of `nodes`: the role that runs it."""
    backend: Label | None = None
    """One of `load_balancer.backends`; the only one if left out."""
    directory: AbsolutePath = "/srv/lssm"
    """Its folder on a node: `releases/<commit>`, and the link `current` to one of them."""
    user: Annotated[str, Matching("[a-z_][a-z0-9_-]*", "a user's name", limit=32)] = "root"
    """Who owns the releases and builds them."""
    install: Command = "bun install --production --frozen-lockfile"
    """Makes a fetched release ready to run."""
    warm_up: Command | None = None
    """Run once after `install`, to fill caches or to prove that the release can start."""
    migrate: Migration | None = None
    """Database migrations; none if left out."""
    units: list[UnitName] = Field(default=["lssm-api", "lssm-worker"], min_length=1)
    """systemd units that run a release, in the order in which they start."""
    health: Annotated[str, Matching(r"https?://[^\s]+", "an address such as http://{address}:3000/healthz")] = (
        "http://{address}:3000/healthz"
    )
    """What is asked on the node itself whether it is well; `{address}` is the node's own. It answers 200."""
    url: Annotated[str, Matching(r"https?://[^\s]+", "an address, such as https://api.example.org/")] | None = None
    """What users ask, through the load balancer: probed while nodes change, so that a release tells what it cost them.
    Not probed if left out."""
    env_file: EnvFile | None = None
    """Variables of the units; untouched if left out."""
    llm_routing: AbsolutePath | None = None
    """Where the LLM routing table is written as JSON; nowhere if left out."""
    keep_releases: int = Field(default=5, ge=2, le=50)
    """Releases that stay on a node, to go back to."""
    batch: int = Field(default=1, ge=1, le=50)
    """Nodes that change at once."""
    min_healthy: int = Field(default=1, ge=1, le=99)
    """Nodes that stay in the pool at any time."""
    drain: Seconds = 30.0
    """How long a node that left the pool may finish its connections. What is open then, such as WebSockets, is closed
    by the application as it stops."""
    stop: Seconds = 30.0
    """How long a unit may take to stop."""
    healthy_within: Seconds = 60.0
    """How long a started release may take until it is healthy."""
    soak: Seconds = 15.0
    """How long a node is watched with the new release before the next one follows."""
