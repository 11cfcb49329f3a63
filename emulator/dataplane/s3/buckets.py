"""Buckets as documents, and their configurations, which moto answers for.

A bucket's document keeps the requests that configured it. moto is a working copy: when it is empty, they are put again.
"""

from __future__ import annotations

import base64

from emulator.dataplane.moto_backend import Moto
from emulator.dataplane.plane import Message
from emulator.dataplane.s3.operations import Target
from emulator.world import Document, World

BUCKETS = "s3.buckets"

_ORDER = ("versioning", "object-lock")
"""What must be set before the rest, because other configurations depend on it."""


class Buckets:
    """The documents of the buckets.

    Args:
        moto: kept in step with them.
    """

    def __init__(self, world: World, moto: Moto) -> None:
        self.world = world
        self.moto = moto
        moto.filled_by(self._fill)

    def find(self, bucket: str) -> Document | None:
        """A bucket's document, whoever it belongs to."""
        return self.world.find(BUCKETS, bucket)

    def created(self, target: Target, message: Message, project_id: str) -> None:
        """Note a new bucket."""
        headers = {name: value for name, value in message.headers.items() if name.lower().startswith("x-amz-bucket-")}
        self.world.put(
            BUCKETS,
            {
                "id": target.bucket,
                "name": target.bucket,
                "project_id": project_id,
                "region": target.region,
                "created_at": self.world.timestamp(),
                "_headers": headers,
                "_configuration": {},
            },
        )

    def deleted(self, bucket: str) -> None:
        """Forget a bucket."""
        self.world.remove(BUCKETS, bucket)

    def configured(self, target: Target, message: Message) -> None:
        """Note a configuration of a bucket that was put or deleted."""
        document = self.world.tables[BUCKETS][target.bucket]
        if message.method == "DELETE":
            document["_configuration"].pop(target.part, None)
        else:
            document["_configuration"][target.part] = {
                "headers": {
                    k: v for k, v in message.headers.items() if k.lower().startswith(("x-amz-acl", "x-amz-gr"))
                },
                "body": base64.b64encode(message.body).decode(),
            }
        self.world.put(BUCKETS, document)

    def _fill(self) -> None:
        for bucket in self.world.all(BUCKETS):
            project_id, path = bucket["project_id"], f"/{bucket['name']}"
            self.moto.s3("PUT", path, project_id, bucket["_headers"], location(bucket["region"]))
            parts = bucket["_configuration"]
            for part in sorted(parts, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER)):
                body = base64.b64decode(parts[part]["body"])
                self.moto.s3("PUT", f"{path}?{part}", project_id, parts[part]["headers"], body)


def location(region: str) -> bytes:
    """The body with which moto creates a bucket in a region; Scaleway needs none."""
    return (
        '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
    ).encode()
