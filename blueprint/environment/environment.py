"""The environment file as a whole."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from blueprint.environment.app import App
from blueprint.environment.approval import Protection
from blueprint.environment.backup import Backup
from blueprint.environment.base import Section
from blueprint.environment.buckets import Bucket
from blueprint.environment.dns import Zone
from blueprint.environment.health import Health
from blueprint.environment.iam import Application, SshPublicKey
from blueprint.environment.llm import Llm
from blueprint.environment.load_balancer import LoadBalancer
from blueprint.environment.monitoring import Monitoring
from blueprint.environment.network import PrivateNetwork, SecurityGroup
from blueprint.environment.nodes import NodeRole
from blueprint.environment.postgresql import Postgresql
from blueprint.environment.redis import Redis
from blueprint.environment.scalars import DomainKey, Hostname, Label, Matching
from blueprint.environment.schedules import Schedules
from blueprint.environment.secrets import Secret
from blueprint.environment.sqs import Sqs
from blueprint.names import Names


class Environment(Section):
    """An environment: what its file says and what follows from it."""

    org: Annotated[
        str, Matching("[a-z][a-z0-9-]*[a-z0-9]", "lower-case letters, digits and hyphens, a letter first", limit=20)
    ] = Field(examples=["lssm"])
    """The organisation, first part of most names."""
    env: Annotated[str, Matching("[a-z][a-z0-9]*", "lower-case letters and digits, a letter first", limit=12)] = Field(
        examples=["prod"]
    )
    """The environment, second part of every name; also the name of the file."""
    region: Annotated[str, Matching("[a-z]{2}-[a-z]{3}", "a Scaleway region, such as fr-par")] = "fr-par"
    """Scaleway region. What is in another region is not seen: destroy the environment before it moves."""
    zone: Annotated[str, Matching("[a-z]{2}-[a-z]{3}-[1-9]", "a Scaleway zone, such as fr-par-1")] = "fr-par-1"
    """Scaleway zone, in the region. What is in another zone is not seen: destroy the environment before it moves."""
    project_id: (
        Annotated[
            str,
            Matching(
                "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
                "a project's id, such as 5f2c1c4e-0d43-4c5e-9d5b-2f4f3f6f7a11",
            ),
        ]
        | None
    ) = None
    """Scaleway project of the environment; the default project of the worker (SCW_DEFAULT_PROJECT_ID) if left out."""
    production: bool = False
    """Whether every change has to be confirmed by typing the environment's name."""
    approval: Protection = None
    """Protects the environment: changes wait for somebody's approval; they do not if left out."""
    allow_destroy: list[
        Annotated[
            str, Matching(r"[a-z_]+\..+", "<kind>.<name>, such as bucket.equitya-prod-files or database.*", limit=200)
        ]
    ] = Field(default=[])
    """Protected objects that may be deleted or replaced, by resource key; * stands for anything within a kind."""

    network: PrivateNetwork = Field(examples=[{"cidr": "10.0.0.0/24"}])
    """VPC, private network, public gateway, network ACL."""
    ssh_keys: dict[Label, SshPublicKey] = Field(default={})
    """Public keys that may log in to nodes and through the bastion, by name."""
    security_groups: dict[Label, SecurityGroup] = Field(default={"backend": SecurityGroup()})
    """Security groups, by name; one named backend that drops what comes in if left out."""
    nodes: dict[Label, NodeRole] = Field(default={})
    """Instances, by role."""
    load_balancer: LoadBalancer | None = None
    """Public load balancer; none if left out."""
    postgresql: Postgresql | None = None
    """Managed PostgreSQL; none if left out."""
    redis: Redis | None = None
    """Managed Redis; none if left out."""
    buckets: dict[DomainKey, Bucket] = Field(default={}, max_length=100)
    """Buckets, by `<domain>/<what>`. Scaleway allows 100 an organisation."""
    sqs: Sqs | None = None
    """Queues and their credentials; SQS stays off if left out."""
    dns: dict[Hostname, Zone] = Field(default={})
    """DNS zones, by name."""
    applications: dict[Label, Application] = Field(default={}, max_length=100)
    """IAM applications, by name."""
    secrets: dict[Label, Secret] = Field(default={})
    """Secrets, by name, besides those that the engine makes."""
    monitoring: Monitoring | None = None
    """Cockpit; untouched if left out."""
    llm: Llm | None = None
    """LLM routing table; none if left out."""
    app: App | None = None
    """The application and its releases; nothing is released if left out."""
    backup: Backup | None = None
    """Backups; none if left out."""
    health: Health | None = None
    """Checks from outside by the clock; none if left out, `{}` for those that follow from the rest of the file."""
    schedules: Schedules = Schedules()
    """What happens by the clock."""

    @property
    def names(self) -> Names:
        """The names of the environment's objects."""
        return Names(self.org, self.env)

    def node_names(self, role: str) -> list[str]:
        """Names of the nodes of a role, in order."""
        return [self.names.node(role, index) for index in range(1, self.nodes[role].count + 1)]

    @property
    def backup_role(self) -> str | None:
        """Role of the nodes from which databases are backed up; None if there is no one to choose."""
        chosen = (self.backup and self.backup.nodes) or (self.app and self.app.nodes)
        return chosen or (next(iter(self.nodes)) if len(self.nodes) == 1 else None)

    @property
    def enters_nodes(self) -> bool:
        """Whether the engine logs in on nodes: to release, to set up agents, or to reach databases."""
        return bool(
            self.app
            or (self.monitoring and self.monitoring.agent and self.nodes)
            or (self.backup and self.postgresql)
            or (self.health and self.backup_role and self.network.gateway.bastion and (self.postgresql or self.redis))
        )

    @property
    def health_url(self) -> str:
        """Scheme and host where users find the application; empty if the file does not tell."""
        if self.health and self.health.url:
            return self.health.url
        if self.app and self.app.url:
            parts = urlsplit(self.app.url)
            return f"{parts.scheme}://{parts.netloc}"
        certificates = self.load_balancer.certificates if self.load_balancer else {}
        return next((f"https://{certificate.domains[0]}" for certificate in certificates.values()), "")

    @property
    def backed_up_buckets(self) -> list[str]:
        """Those of `buckets` that are backed up, by key."""
        if self.backup is None:
            return []
        without = {self.backup.bucket, *self.backup.exclude_buckets}
        return [key for key in self.buckets if key not in without]
