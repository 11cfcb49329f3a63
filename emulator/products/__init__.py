"""The products of the API, one module or package each; a module names its routes in `PRODUCTS`."""

from __future__ import annotations

import importlib
import pkgutil

from emulator.routing import Product


def load_products() -> list[Product]:
    """Every product found in this folder, in alphabetical order of its modules."""
    found: list[Product] = []
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{__name__}.{info.name}")
        found.extend(module.PRODUCTS)
    return found
