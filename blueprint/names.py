"""Every name and tag of an environment, by rule.

Nothing that exists is named by hand: the file says "a node of role core", the rule says `lssm-prod-core-01`. That is
what lets the engine find what it made without keeping a state file.

Two patterns. What belongs to the organisation carries `<org>-<env>`; what belongs to a domain (a product line with
buckets and queues of its own) carries `<domain>-<env>`.
"""

from __future__ import annotations

from dataclasses import dataclass

MANAGED_BY = "managed-by=scaleway-infra"
"""Tag of everything that the engine made or adopted."""
PROTECTED = "protected"
"""Tag of what only the explicit word of the file may delete or replace."""
ENGINE_CREDENTIALS = "engine"
"""Name of the SQS credentials with which the engine itself makes queues."""
SEAL = "seal"
"""Start of the VPC's tags that say which buckets and queues were found to be as declared."""


@dataclass(frozen=True)
class Names:
    """The names of one environment."""

    org: str
    """Such as "lssm"."""
    env: str
    """Such as "prod"."""

    @property
    def stem(self) -> str:
        """`<org>-<env>`, the environment's own name and the start of most others."""
        return f"{self.org}-{self.env}"

    @property
    def tags(self) -> list[str]:
        """Ownership tags, for every kind of object that can carry tags."""
        return [MANAGED_BY, f"environment={self.stem}"]

    @property
    def vpc(self) -> str:
        """`vpc-<org>-<env>`."""
        return f"vpc-{self.stem}"

    @property
    def private_network(self) -> str:
        """`pn-<org>-<env>-core`."""
        return f"pn-{self.stem}-core"

    @property
    def gateway(self) -> str:
        """`gw-<org>-<env>`."""
        return f"gw-{self.stem}"

    @property
    def load_balancer(self) -> str:
        """`lb-<org>-<env>`."""
        return f"lb-{self.stem}"

    @property
    def postgresql(self) -> str:
        """`db-<org>-<env>`."""
        return f"db-{self.stem}"

    @property
    def postgresql_admin(self) -> str:
        """`<org>_<env>_admin`: the user that a database instance is created with. PostgreSQL dislikes hyphens."""
        return f"{self.stem}-admin".replace("-", "_")

    @property
    def redis(self) -> str:
        """`redis-<org>-<env>`."""
        return f"redis-{self.stem}"

    @property
    def redis_user(self) -> str:
        """`<org>_<env>`: the one user of the Redis instance."""
        return self.stem.replace("-", "_")

    @property
    def secret_path(self) -> str:
        """`/<org>/<env>`: the folder of every secret in Secret Manager."""
        return f"/{self.org}/{self.env}"

    def security_group(self, role: str) -> str:
        """`sg-<org>-<env>-<role>`."""
        return f"sg-{self.stem}-{role}"

    def node(self, role: str, index: int) -> str:
        """`<org>-<env>-<role>-<index>`, the index from 1 with two digits. The host name inside is the same."""
        return f"{self.stem}-{role}-{index:02d}"

    def ssh_key(self, name: str) -> str:
        """`<org>-<env>-<name>`."""
        return f"{self.stem}-{name}"

    def certificate(self, name: str) -> str:
        """`<org>-<env>-<name>`."""
        return f"{self.stem}-{name}"

    def bucket(self, key: str) -> str:
        """`<domain>-<env>-<what>` for the file's "<domain>/<what>". Unique on the whole platform, so it has to be."""
        return self._of_domain(key)

    def queue(self, key: str, *, fifo: bool = False) -> str:
        """`<domain>-<env>-<what>` for the file's "<domain>/<what>"; SQS demands the suffix `.fifo` of FIFO queues."""
        return self._of_domain(key) + (".fifo" if fifo else "")

    def dead_letter_queue(self, key: str, *, fifo: bool = False) -> str:
        """The queue's name and `-dlq`."""
        return f"{self._of_domain(key)}-dlq" + (".fifo" if fifo else "")

    @property
    def health_queue(self) -> str:
        """`<org>-<env>-health`: the queue that nothing but the health checks uses."""
        return f"{self.stem}-health"

    def sqs_credentials(self, name: str) -> str:
        """`<org>-<env>-<name>`."""
        return f"{self.stem}-{name}"

    def application(self, name: str) -> str:
        """`<org>-<env>-<name>`."""
        return f"{self.stem}-{name}"

    def policy(self, application: str) -> str:
        """`<org>-<env>-<application>`: an application has one policy, and the policy has its name."""
        return f"{self.stem}-{application}"

    def data_source(self, name: str) -> str:
        """`<org>-<env>-<name>`."""
        return f"{self.stem}-{name}"

    def cockpit_token(self, name: str) -> str:
        """`<org>-<env>-<name>`."""
        return f"{self.stem}-{name}"

    @property
    def alert_manager(self) -> str:
        """`<org>-<env>-alerts`: how plans call it; at Scaleway it has no name."""
        return f"{self.stem}-alerts"

    def schedule(self, what: str) -> str:
        """`<org>-<env>-<what>`: id of a Temporal Schedule."""
        return f"{self.stem}-{what}"

    def postgresql_secret(self, user: str) -> str:
        """Name in `secret_path` of a database user's password: `postgresql-<user>`."""
        return f"postgresql-{user.replace('_', '-')}"

    @property
    def redis_secret(self) -> str:
        """Name in `secret_path` of the Redis password."""
        return "redis"

    def api_key_secret(self, application: str) -> str:
        """Name in `secret_path` of an application's API key: `<application>-api-key`."""
        return f"{application}-api-key"

    def sqs_secret(self, credentials: str) -> str:
        """Name in `secret_path` of SQS credentials: `sqs-<credentials>`."""
        return f"sqs-{credentials}"

    def cockpit_secret(self, token: str) -> str:
        """Name in `secret_path` of a Cockpit token: `cockpit-<token>`."""
        return f"cockpit-{token}"

    @property
    def backup_secret(self) -> str:
        """Name in `secret_path` of the age identity that opens the backups."""
        return "backup-key"

    @property
    def bastion_secret(self) -> str:
        """Name in `secret_path` of what the bastion is known by: no secret, but nobody else must change it."""
        return "ssh-bastion-host-key"

    @property
    def llm_secret(self) -> str:
        """Name in `secret_path` of the LLM routing table: configuration, not a secret, but kept where those are."""
        return "llm-routing"

    def _of_domain(self, key: str) -> str:
        domain, what = key.split("/")
        return f"{domain}-{self.env}-{what}"
