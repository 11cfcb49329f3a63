"""Marketplace v2: the images that Scaleway publishes, and their incarnation in each zone.

A local image is what a server boots from: one for each image, zone, architecture and kind of root volume. All ids
follow from those, so that they are the same in every run.
"""

from __future__ import annotations

import json
import uuid
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from emulator.errors import invalid_arguments, not_found
from emulator.paging import page
from emulator.products.instance.catalogue import server_types
from emulator.routing import Answer, Call, Product
from emulator.world import Document

MARKETPLACE = Product("marketplace", "/marketplace/v2")
PRODUCTS = [MARKETPLACE]

PUBLISHER = "51b656e3-4865-41e8-adbc-0c45bdd780db"
"""The organization (and project) that owns Scaleway's own images."""
ROOT_SIZE = 10 * 10**9
"""Bytes that the root volume of a published image needs."""
LOCAL, NETWORK = "instance_local", "instance_sbs"
ZONES = ("fr-par-1", "fr-par-2", "fr-par-3", "nl-ams-1", "nl-ams-2", "nl-ams-3", "pl-waw-1", "pl-waw-2", "pl-waw-3")


@cache
def _facts() -> Document:
    path = Path(__file__).parents[1] / "catalogue" / "marketplace_images.json"
    facts: Document = json.loads(path.read_text())
    return facts


def _id(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(("marketplace", *parts))))


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _compatible(zone: str, arch: str, kind: str) -> list[str]:
    facts = _facts()
    sold = [name for name, facts_of_type in server_types(zone).items() if facts_of_type["arch"] == arch]
    return [name for name in sold if kind == NETWORK or _matches(name, facts["local_types"])]


@cache
def local_images(zone: str) -> list[Document]:
    """Every local image of a zone, as the API shows it."""
    found = []
    for label, (_, architectures, _) in _facts()["images"].items():
        for kind, arch in ((NETWORK, "x86_64"), (NETWORK, "arm64"), (LOCAL, "x86_64")):
            if architectures in ("both", arch):
                found.append(
                    {
                        "id": _id(label, zone, arch, kind),
                        "arch": arch,
                        "zone": zone,
                        "compatible_commercial_types": _compatible(zone, arch, kind),
                        "label": label,
                        "type": kind,
                    }
                )
    return found


def image(zone: str, key: str, *, arch: str = "x86_64", kind: str = NETWORK) -> Document | None:
    """What Instance shows for a published image, by local id or by label; None if there is no such image.

    Args:
        key: id of a local image, or a label such as "ubuntu_noble".
        arch: for a label: the architecture of the server.
        kind: for a label: "instance_sbs" or "instance_local".
    """
    for local in local_images(zone):
        if key == local["id"] or (key, arch, kind) == (local["label"], local["arch"], local["type"]):
            return _instance_image(local)
    return None


def _instance_image(local: Document) -> Document:
    name = _facts()["images"][local["label"]][0]
    root_id = _id(local["id"], "root")
    on_network = local["type"] == NETWORK
    published = _facts()["published"] + "+00:00"
    return {
        "id": local["id"],
        "name": name,
        "organization": PUBLISHER,
        "project": PUBLISHER,
        "root_volume": {"volume_type": "sbs_snapshot", "id": root_id, "size": 0, "name": ""}
        if on_network
        else {"id": root_id, "name": name, "volume_type": "l_ssd", "size": ROOT_SIZE},
        "extra_volumes": {},
        "public": True,
        "arch": local["arch"],
        "creation_date": published,
        "modification_date": published,
        "default_bootscript": None,
        "from_server": "",
        "state": "available",
        "tags": [],
        "zone": local["zone"],
    }


def is_root_snapshot(snapshot_id: str, zone: str) -> bool:
    """Whether this is the snapshot behind a published image: there, but not for others to read."""
    return any(snapshot_id == _id(local["id"], "root") for local in local_images(zone))


def _image(label: str) -> Document:
    name, _, category = _facts()["images"][label]
    published = _facts()["published"] + "Z"
    return {
        "id": _id(label),
        "name": name,
        "description": f"{name}, as published by Scaleway.",
        "logo": f"https://marketplace-logos.s3.nl-ams.scw.cloud/{label.partition('_')[0]}.png",
        "categories": ["distribution" if category != "InstantApp" else "instantapp"],
        "created_at": published,
        "updated_at": published,
        "valid_until": None,
        "label": label,
    }


@MARKETPLACE.get("/images")
def list_images(call: Call) -> Answer:
    """The published images."""
    found = [_image(label) for label in _facts()["images"]]
    if arch := call.arg("arch"):
        found = [image for image in found if _facts()["images"][image["label"]][1] in ("both", arch)]
    if category := call.arg("category"):
        found = [image for image in found if category in image["categories"]]
    return page(call, found, "images")


@MARKETPLACE.get("/images/{image_id}")
def get_image(call: Call) -> Answer:
    """One published image."""
    for label in _facts()["images"]:
        if call.params["image_id"] == _id(label):
            return _image(label)
    raise not_found("image", call.params["image_id"])


@MARKETPLACE.get("/local-images", call_ms=50)
def list_local_images(call: Call) -> Answer:
    """The local images of one published image, named by its label or id."""
    label, image_id = call.arg("image_label"), call.arg("image_id")
    if not (label or image_id or call.arg("version_id")):
        raise invalid_arguments(("scope", "required", "one of image_id, version_id or image_label is required"))
    zones = [zone for zone in ZONES if call.arg("zone") in (None, zone)]
    found = [
        local
        for zone in zones
        for local in local_images(zone)
        if (label == local["label"] or image_id == _id(local["label"]))
        and call.arg("type") in (None, "unknown_type", local["type"])
        and call.arg("arch") in (None, local["arch"])
    ]
    return page(call, found, "local_images")


@MARKETPLACE.get("/local-images/{local_image_id}", call_ms=50)
def get_local_image(call: Call) -> Answer:
    """One local image."""
    for zone in ZONES:
        for local in local_images(zone):
            if local["id"] == call.params["local_image_id"]:
                return local
    raise not_found("local_image", call.params["local_image_id"])
