"""Secret Manager v1beta1: secrets and their versions."""

from __future__ import annotations

from emulator.products.secret_manager import secrets, versions
from emulator.products.secret_manager.api import SECRETS

__all__ = ["PRODUCTS", "secrets", "versions"]

PRODUCTS = [SECRETS]
