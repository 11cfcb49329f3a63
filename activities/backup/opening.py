"""What must be true before a backup run begins."""

from __future__ import annotations

import uuid

import pyrage

from activities.backup.store import BackupStore
from activities.boto_errors import boto_errors
from activities.cloud import Cloud
from activities.registry import Clouds
from activities.release.on_node import OnNode
from activities.secret_store import remember
from activities.ssh.nodes import Nodes, is_to_end, side_by_side
from blueprint.backup import layout
from blueprint.backup.contract import OpenOutput
from blueprint.backup.site import BackupSite, SecretPlace
from blueprint.environment import parse
from blueprint.errors import Damaged, EngineError, Gone, Refused, SecretMissing
from blueprint.release.contract import Site
from blueprint.release.facts import NodeFacts, ReleaseFacts
from blueprint.release.site import site_of

MOST_SKEW = 300.0
"""Seconds that two clocks may be apart: beyond, ages, retention and signed addresses go wrong."""
IDENTITY = "AGE-SECRET-KEY-"
"""Start of the line of an age key file that is the key; the others are remarks."""


def opened(clouds: Clouds, site: BackupSite) -> OpenOutput:
    """See that the store is there and can be written, that clocks agree, and find the keys to encrypt for.

    Raises:
        Gone: the project has no such bucket.
        Refused: the worker's clock is wrong.
        Damaged: the bucket gives back something else than was written.
        SecretMissing: there is no key to encrypt for.
    """
    store, cloud = BackupStore(clouds, site), clouds.cloud(site.target)
    _require_ours(store)
    require_same_time(*store.clocks())
    _probe(store)
    recipient = str(identity_of(cloud, site.key).to_public())
    application = site_of(parse(site.file), site.target) if site.file else None
    return OpenOutput(
        recipients=tuple(dict.fromkeys((recipient, *site.recipients))),
        locked_for=store.lock or 0.0,
        commit=released(clouds.nodes, application) if application else "",
    )


def identity_of(cloud: Cloud, key: SecretPlace) -> pyrage.x25519.Identity:
    """The age identity that opens the backups.

    Raises:
        SecretMissing: there is none.
    """
    subject = f"{key.path.rstrip('/')}/{key.name}"
    value = cloud.secrets.reveal({"$secret": key.path, "name": key.name})
    line = next((line.strip() for line in value.splitlines() if line.startswith(IDENTITY)), "")
    try:
        return pyrage.x25519.Identity.from_str(remember(line))
    except pyrage.IdentityError:
        raise SecretMissing(
            "is no age identity", subject=subject, remedy="bring its right version back in Secret Manager, then retry"
        ) from None


def require_same_time(stores: float, workers: float) -> None:
    """See that two clocks agree.

    Raises:
        Refused: they do not.
    """
    if (skew := abs(stores - workers)) > MOST_SKEW:
        way = "behind" if stores > workers else "ahead of"
        raise Refused(
            f"the worker's clock is {skew:.0f} s {way} that of Object Storage",
            remedy="set the clock of the worker's machine; a time service keeps it right",
        )


def _require_ours(store: BackupStore) -> None:
    """See that the bucket is the project's: names are unique on the platform, and a stranger may have it."""
    bucket, project = store.store.bucket, store.clouds[0].project_id
    with boto_errors("list buckets"):
        if bucket in (found["Name"] for found in store.s3.list_buckets()["Buckets"]):
            return
    raise Gone(
        f"the bucket for the backups is not in the project {project}",
        subject=bucket,
        remedy="`scaleway-infra apply` makes it if it is one of `buckets`; one that `backup.store` names has to exist",
    )


def _probe(store: BackupStore) -> None:
    # Each attempt has a key of its own: one that was given up for dead may still be at it.
    key, content = f"{layout.probe(store.store)}-{uuid.uuid4().hex}", uuid.uuid4().bytes
    store.put(key, content)
    if store.get(key) != content:
        raise Damaged("gives back something else than was written", subject=f"{store.store.bucket}/{key}")
    store.delete([key])


def released(nodes: Nodes, application: Site) -> str:
    """The application's release, as far as its nodes tell; empty if none does."""

    def look(node: str) -> NodeFacts:
        try:
            return OnNode(nodes, application, node).look()
        except EngineError as error:
            if is_to_end():
                raise
            return NodeFacts(name=node, reachable=False, trouble=error.message)

    found = side_by_side(look, application.nodes)
    return ReleaseFacts(nodes=tuple(found)).released
