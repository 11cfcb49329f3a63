"""AWS Signature Version 4: who signed a request, for which region, and whether the secret was the right one."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
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
        region: the region that the signature is for.
        presigned: it came in the query, not in a header.
    """

    access_key: str
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
        else:
            arguments = message.arguments
            credential = arguments.get("X-Amz-Credential", "")
            headers = arguments.get("X-Amz-SignedHeaders", "")
            value, presigned = arguments.get("X-Amz-Signature", ""), True
        parts = credential.split("/")
        if len(parts) != 5 or not value:
            return None
        key, date, region, service, _ = parts
        return cls(key, date, region, service, tuple(headers.split(";")), value, presigned)

    def made_with(self, secret: str, message: Message) -> bool:
        """Whether this secret made the signature."""
        scope = f"{self.date}/{self.region}/{self.service}/aws4_request"
        moment = message.arguments.get("X-Amz-Date") if self.presigned else message.headers.get("X-Amz-Date")
        digest = hashlib.sha256(self._canonical(message).encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
        key = f"AWS4{secret}".encode()
        for part in (self.date, self.region, self.service, "aws4_request", text):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return hmac.compare_digest(key.hex(), self.value)

    def _canonical(self, message: Message) -> str:
        pairs = [pair for pair in parse_qsl(message.query, keep_blank_values=True) if pair[0] != "X-Amz-Signature"]
        query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(pairs))
        headers = "".join(f"{name}:{' '.join(message.headers.get(name, '').split())}\n" for name in self.signed_headers)
        payload = message.headers.get("X-Amz-Content-Sha256")
        if payload is None:
            payload = "UNSIGNED-PAYLOAD" if self.presigned else hashlib.sha256(message.body).hexdigest()
        return "\n".join([message.method, message.path, query, headers, ";".join(self.signed_headers), payload])
