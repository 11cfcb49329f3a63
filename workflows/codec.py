"""What Temporal keeps of a run, encrypted: arguments, results, memos, heartbeats, summaries and details.

Temporal stores and passes on what it cannot read; workers and clients have the keys. Left in clear text are what lists
are searched by (ids, names of types, search attributes) and the words of failures: an operator has to read them in
the web UI, and they hold no secret by the engine's own rule. Payloads that were never encrypted are taken as they are,
so what a person types in the UI works, and a namespace in use can begin with it.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from blueprint.errors import EngineError

SETTING = "SCALEWAY_INFRA_CODEC_KEYS_FILE"
"""Path of the file with the keys; nothing is encrypted without it."""

ENCODING = b"binary/encrypted"
KEY_BYTES = 32
_NONCE_BYTES = 12
_REMEDY = "docs/operations.md tells what the file holds"


class CodecKeysUnusable(EngineError):
    """The file with the keys is not there or says something else."""

    code = "codec_keys_unusable"


class UnknownKey(EngineError):
    """A payload was encrypted with a key that the file does not hold, or with another one of that name."""

    code = "codec_key_unknown"


class Codec(PayloadCodec):
    """Encrypts payloads with AES-256-GCM, each under a nonce of its own.

    Args:
        keys: 32 bytes each, by id. The first one writes, all of them read.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._writes_with = next(iter(keys))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt each payload with the key that writes."""
        return [self._encrypted(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt each payload that is encrypted; leave the others.

        Raises:
            UnknownKey: one cannot be decrypted with these keys.
        """
        return [self._decrypted(payload) for payload in payloads]

    def _encrypted(self, payload: Payload) -> Payload:
        key_id = self._writes_with.encode()
        nonce = os.urandom(_NONCE_BYTES)
        data = self._ciphers[self._writes_with].encrypt(nonce, payload.SerializeToString(), key_id)
        return Payload(metadata={"encoding": ENCODING, "encryption-key-id": key_id}, data=nonce + data)

    def _decrypted(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        key_id = payload.metadata.get("encryption-key-id", b"")
        name = key_id.decode(errors="replace")
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise UnknownKey(f"a payload needs the key {name!r}, which is not there", subject=SETTING, remedy=_REMEDY)
        nonce, data = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, data, key_id))
        except (InvalidTag, ValueError):
            raise UnknownKey(f"the key {name!r} is not the one of a payload", subject=SETTING, remedy=_REMEDY) from None


def codec_from(settings: Mapping[str, str] = os.environ) -> Codec | None:
    """The codec that the settings ask for; None if they ask for none.

    Raises:
        CodecKeysUnusable: the file cannot be read, or holds no keys.
    """
    path = settings.get(SETTING)
    return Codec(read_keys(Path(path))) if path else None


def read_keys(path: Path) -> dict[str, bytes]:
    """The keys of a file: a line has a key's id and, after a space, the key in base64; `#` begins a comment.

    Raises:
        CodecKeysUnusable: it cannot be read, holds none, or one that is none. No message holds a key.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise CodecKeysUnusable(f"{path}: {reason}", subject=SETTING, remedy=_REMEDY) from None
    keys: dict[str, bytes] = {}
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or words[0] in keys or len(key := _decoded(words[1])) != KEY_BYTES:
            raise CodecKeysUnusable(
                f"{path}: line {number} is not a new id and {KEY_BYTES} bytes in base64",
                subject=SETTING,
                remedy=f'a line such as "$(date +%F) $(openssl rand -base64 {KEY_BYTES})" fits',
            )
        keys[words[0]] = key
    if not keys:
        raise CodecKeysUnusable(f"{path} holds no key", subject=SETTING, remedy=_REMEDY)
    return keys


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
