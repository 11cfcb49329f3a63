"""Fingerprints of host keys, as machines publish them at their first boot."""

from __future__ import annotations

import re

USER_DATA = "ssh-host-fingerprints"
"""Reserved key of a server's user data, which Scaleway's images fill (image-tools issue 36)."""

_LINE = re.compile(r"^\d+ (SHA256:[A-Za-z0-9+/]{43})=? .*\([A-Z0-9-]+\)$")


def published(text: str) -> frozenset[str]:
    """The fingerprints in lines such as `256 SHA256:... root@host (ED25519)`; lines of another form are left out."""
    return frozenset(match[1] for line in text.splitlines() if (match := _LINE.match(line.strip())))
