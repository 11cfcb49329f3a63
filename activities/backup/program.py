"""The program that a node runs to carry a database: `transfer`, as one file."""

from __future__ import annotations

import functools
import importlib.resources
import io
import zipfile

PACKAGE = "transfer"
_MAIN = f"from {PACKAGE}.__main__ import main\nmain()\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in it: the same program is the same bytes, wherever it was packed."""


@functools.cache
def archive() -> bytes:
    """The bytes of `transfer.pyz`, which `python3` runs as it is."""
    sources = {
        f"{PACKAGE}/{file.name}": file.read_bytes()
        for file in importlib.resources.files(PACKAGE).iterdir()
        if file.name.endswith(".py")
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in sorted({"__main__.py": _MAIN.encode(), **sources}.items()):
            file.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()
