"""Instance: servers with their addresses, volumes, images, security groups and private NICs.

One module for each kind of object; `power` holds what the machine behind a server goes through.
"""

from emulator.products.instance import (
    catalogue,
    images,
    ips,
    placement_groups,
    power,
    private_nics,
    security_groups,
    servers,
    snapshots,
    user_data,
    v2alpha1,
    volumes,
)
from emulator.products.instance.api import INSTANCE

PRODUCTS = [INSTANCE, v2alpha1.INSTANCE_V2]

__all__ = [
    "PRODUCTS",
    "catalogue",
    "images",
    "ips",
    "placement_groups",
    "power",
    "private_nics",
    "security_groups",
    "servers",
    "snapshots",
    "user_data",
    "volumes",
]
