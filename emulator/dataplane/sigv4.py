"""AWS Signature Version 4: who signed a request, for which region, and whether the secret was the right one."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, quote

from emulator.dataplane.plane import Message

_HEADER = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<credential>[^,]+),\s*SignedHeaders=(?P<headers>[^,]+),\s*"
    r"Signature=(?P<signature>[0-9a-f]+)"
)


@dataclass(frozen=True)
class Signature:
    """What a signed request says about itself.

    Attributes:
        access_key: as sent, with Scaleway's `@project` if it was there.
        moment: when it was made: "20260721T101852Z"; "" if it does not say.
        region: the region that the signature is for.
        presigned: it came in the query, not in a header.
    """

    access_key: str
    moment: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    value: str
    presigned: bool

    @classmethod
    def of(cls, message: Message) -> Signature | None:
        """The request's signature; None if it has none, or one that cannot be read."""
        if match := _HEADER.match(message.headers.get("Authorization", "")):
            credential, headers, value, presigned = match["credential"], match["headers"], match["signature"], False
            moment = message.headers.get("X-Amz-Date", "")
        else:
            arguments = message.arguments
            credential = arguments.get("X-Amz-Credential", "")
            headers = arguments.get("X-Amz-SignedHeaders", "")
            value, presigned = arguments.get("X-Amz-Signature", ""), True
            moment = arguments.get("X-Amz-Date", "")
        parts = credential.split("/")
        if len(parts) != 5 or not value:
            return None
        key, date, region, service, _ = parts
        return cls(key, moment, date, region, service, tuple(headers.split(";")), value, presigned)

    def made_with(self, secret: str, message: Message) -> bool:
        """Whether this secret made the signature."""
        scope = f"{self.date}/{self.region}/{self.service}/aws4_request"
        digest = hashlib.sha256(self._canonical(message).encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{self.moment}\n{scope}\n{digest}"
        key = _signing_key(secret, self.date, self.region, self.service)
        return hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), self.value)

    def _canonical(self, message: Message) -> str:
        pairs = [pair for pair in parse_qsl(message.query, keep_blank_values=True) if pair[0] != "X-Amz-Signature"]
        query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(pairs))
        headers = "".join(f"{name}:{' '.join(message.headers.get(name, '').split())}\n" for name in self.signed_headers)
        payload = message.headers.get("X-Amz-Content-Sha256")
        if payload is None:
            payload = "UNSIGNED-PAYLOAD" if self.presigned else hashlib.sha256(message.body).hexdigest()
        return "\n".join([message.method, message.path, query, headers, ";".join(self.signed_headers), payload])


@lru_cache(maxsize=256)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
