"""Server types: what Scaleway sells in each zone, and the counts of the dashboard."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from emulator.products.instance.api import INSTANCE, constraint, matching, page
from emulator.routing import Answer, Call, Reply
from emulator.world import Document

GIB = 2**30
GB = 10**9
MEGABIT = 10**6
HOURS_OF_A_MONTH = 730
SMALLEST_LOCAL_VOLUME = GB
LARGEST_LOCAL_VOLUME = 800 * GB


@cache
def _facts() -> Document:
    path = Path(__file__).parents[2] / "catalogue" / "instance_types.json"
    facts: Document = json.loads(path.read_text())
    return facts


@cache
def server_types(zone: str) -> dict[str, Document]:
    """Every server type sold in a zone, as `products/servers` shows it, in alphabetical order."""
    facts = _facts()
    missing = facts["missing"].get(zone, [])
    return {
        name: _server_type(name, dict(zip(facts["fields"], row, strict=True)))
        for name, row in facts["types"].items()
        if not any(fnmatchcase(name, pattern) for pattern in missing)
    }


def server_type(zone: str, name: str) -> Document:
    """One server type of a zone; 400 if it is not sold there."""
    found = server_types(zone).get(name)
    if found is None:
        raise constraint("commercial_type", f"{name} is not available in {zone}")
    return found


def _server_type(name: str, row: dict[str, Any]) -> Document:
    facts = _facts()
    local = row["local_gb"] * GB
    bandwidth = {
        "internal_bandwidth": row["internal_mbit"] * MEGABIT,
        "internet_bandwidth": row["internet_mbit"] * MEGABIT,
    }
    gpu = row["gpu_name"]
    return {
        "alt_names": facts["aliases"].get(name, []),
        "arch": row["arch"],
        "ncpus": row["ncpus"],
        "ram": int(row["ram_gib"] * GIB),
        "gpu": row["gpu"],
        "gpu_info": gpu and {"gpu_manufacturer": "NVIDIA", "gpu_name": gpu, "gpu_memory": facts["gpu_gib"][gpu] * GIB},
        "mig_profile": None,
        "volumes_constraint": {"min_size": 0, "max_size": local},
        "per_volume_constraint": {
            "l_ssd": {
                "min_size": SMALLEST_LOCAL_VOLUME if local else 0,
                "max_size": LARGEST_LOCAL_VOLUME if local else 0,
            }
        },
        "scratch_storage_max_size": row["scratch_gb"] * GB,
        "scratch_storage_max_volumes_count": row["scratch_volumes"],
        "monthly_price": round(row["hourly_price"] * HOURS_OF_A_MONTH, 5),
        "hourly_price": row["hourly_price"],
        "capabilities": {
            "boot_types": ["local", "rescue"],
            "placement_groups": True,
            "block_storage": True,
            "hot_snapshots_local_volume": local > 0,
            "private_network": 8,
            "max_file_systems": row["file_systems"],
        },
        "network": {
            "ipv6_support": True,
            "sum_internal_bandwidth": bandwidth["internal_bandwidth"],
            "sum_internet_bandwidth": bandwidth["internet_bandwidth"],
            "interfaces": [bandwidth],
        },
        "block_bandwidth": row["block_kib"] * 1024,
        "end_of_service": row["end_of_service"],
    }


def _page_of_types(call: Call, show: dict[str, Document]) -> Reply:
    reply = page(call, list(show), "servers", str)
    return Reply({"servers": {name: show[name] for name in reply.body["servers"]}}, headers=reply.headers)


@INSTANCE.get("/products/servers", call_ms=27)
def list_server_types(call: Call) -> Answer:
    """What is sold in the zone."""
    return _page_of_types(call, server_types(call.params["zone"]))


@INSTANCE.get("/products/servers/availability")
def list_server_types_availability(call: Call) -> Answer:
    """What is in stock in the zone: everything that is sold; a fault makes a type run out."""
    return _page_of_types(call, {name: {"availability": "available"} for name in server_types(call.params["zone"])})


@INSTANCE.get("/products/volumes")
def list_volume_types(_call: Call) -> Answer:
    """The kinds of volumes that this API makes itself; block volumes are Block Storage's."""
    kinds = {"l_ssd": "Local SSD", "scratch": "Scratch"}
    return {
        "volumes": {
            kind: {
                "display_name": label,
                "capabilities": {"snapshot": kind == "l_ssd"},
                "constraints": {"min": SMALLEST_LOCAL_VOLUME, "max": LARGEST_LOCAL_VOLUME},
            }
            for kind, label in kinds.items()
        }
    }


@INSTANCE.get("/dashboard")
def get_dashboard(call: Call) -> Answer:
    """How many objects of each kind the project has in the zone."""
    servers, volumes, ips = matching(call, "server"), matching(call, "volume"), matching_ips(call)
    local = [volume for volume in volumes if volume["volume_type"] == "l_ssd"]
    types: dict[str, int] = {}
    for server in servers:
        types[server["commercial_type"]] = types.get(server["commercial_type"], 0) + 1
    server_ids = {server["id"] for server in servers}
    nics = call.world.all("instance.private_nics")
    return {
        "dashboard": {
            "servers_count": len(servers),
            "running_servers_count": sum(server["state"] == "running" for server in servers),
            "servers_by_types": types,
            "volumes_count": len(volumes),
            "volumes_l_ssd_count": len(local),
            "volumes_l_ssd_total_size": sum(volume["size"] for volume in local),
            "volumes_scratch_count": len(volumes) - len(local),
            "images_count": len(matching(call, "image")),
            "snapshots_count": len(matching(call, "snapshot")),
            "ips_count": len(ips),
            "ips_unused": sum(ip["state"] == "detached" for ip in ips),
            "security_groups_count": len(matching(call, "security_group")),
            "placement_groups_count": len(matching(call, "placement_group")),
            "private_nics_count": sum(nic["server_id"] in server_ids for nic in nics),
        }
    }


def matching_ips(call: Call) -> list[Document]:
    """The flexible IPs of the call's zone and project."""
    zone, project = call.params["zone"], call.arg("project")
    return [ip for ip in call.world.where("instance.ips", zone=zone) if project in (None, ip["project"])]
