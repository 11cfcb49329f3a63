"""IAM v1alpha1: who may do what."""

from __future__ import annotations

from emulator.products.iam import (
    api_keys,
    applications,
    federation,
    groups,
    organization,
    permission_sets,
    policies,
    ssh_keys,
    users,
)
from emulator.products.iam.api import IAM

__all__ = [
    "PRODUCTS",
    "api_keys",
    "applications",
    "federation",
    "groups",
    "organization",
    "permission_sets",
    "policies",
    "ssh_keys",
    "users",
]

PRODUCTS = [IAM]
