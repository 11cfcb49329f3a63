"""Buckets and objects as documents, written through after each change and poured into moto when it is empty.

A bucket's document keeps the requests that configured it; an object's, the request that would put it again. Of a
versioned object only the current version is kept, and objects over `LARGEST_KEPT` do not outlive the process.
"""

from __future__ import annotations

import base64
from urllib.parse import quote, unquote

from emulator.dataplane.moto_backend import Moto
from emulator.dataplane.plane import Message
from emulator.dataplane.s3.operations import Target
from emulator.world import Document, World

BUCKETS, OBJECTS = "s3.buckets", "_s3.objects"
LARGEST_KEPT = 1 << 20
"""Bytes of an object."""

_KEPT_HEADERS = frozenset(
    {"cache-control", "content-disposition", "content-encoding", "content-language", "content-type"}
) | {"x-amz-storage-class", "x-amz-website-redirect-location"}
_ORDER = ("versioning", "object-lock")
"""What must be set before the rest, because other configurations depend on it."""


class Store:
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

    def wrote(self, bucket: str, key: str) -> None:
        """Note what an object is now, or that it is gone.

        Args:
            key: percent-encoded.
        """
        project_id = str(self.world.tables[BUCKETS][bucket]["project_id"])
        path = f"/{bucket}/{key}"
        found = self.moto.s3("GET", path, project_id, {})
        name = f"{bucket}/{unquote(key)}"
        if found.status != 200 or len(found.body) > LARGEST_KEPT:
            self.world.remove(OBJECTS, name)
            return
        headers = {
            header: value
            for header, value in found.headers.items()
            if header.lower() in _KEPT_HEADERS or header.lower().startswith("x-amz-meta-")
        }
        self.world.put(
            OBJECTS,
            {
                "id": name,
                "bucket": bucket,
                "key": unquote(key),
                "size": len(found.body),
                "_headers": headers,
                "_body": base64.b64encode(found.body).decode(),
            },
        )

    def _fill(self) -> None:
        for bucket in self.world.all(BUCKETS):
            project_id, path = bucket["project_id"], f"/{bucket['name']}"
            self.moto.s3("PUT", path, project_id, bucket["_headers"], location(bucket["region"]))
            parts = bucket["_configuration"]
            for part in sorted(parts, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER)):
                body = base64.b64decode(parts[part]["body"])
                self.moto.s3("PUT", f"{path}?{part}", project_id, parts[part]["headers"], body)
        for row in self.world.all(OBJECTS):
            owner = self.world.find(BUCKETS, row["bucket"])
            if owner:
                path = f"/{row['bucket']}/{quote(row['key'])}"
                self.moto.s3("PUT", path, owner["project_id"], row["_headers"], base64.b64decode(row["_body"]))


def location(region: str) -> bytes:
    """The body with which moto creates a bucket in a region; Scaleway needs none."""
    return (
        '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
    ).encode()
