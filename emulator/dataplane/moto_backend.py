"""moto's S3 and SQS, in this process.

moto keeps its buckets and queues in globals, so a process has one set of them. That set belongs to one world at a
time, and is only a working copy: what lasts is in the world's tables, from which it is filled again whenever another
world (another emulator of the process, a reset one, one restored from a snapshot or from its state file) has its turn.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from emulator.dataplane.plane import Answer
from emulator.world import World

REGION = "fr-par"
INNER_REGION = "eu-west-3"
"""Where moto's queues are: it knows no region but AWS's."""

_HOP_BY_HOP = {
    "host",
    "authorization",
    "connection",
    "expect",
    "transfer-encoding",
    "content-length",
    "accept-encoding",
}


class Moto:
    """moto, filled with the contents of one world.

    Args:
        world: whose buckets and queues these are.
    """

    _resident: ClassVar[dict[str, Any] | None] = None
    """The tables of the world that moto's globals were filled from."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._fillers: list[Callable[[], None]] = []

    def filled_by(self, fill: Callable[[], None]) -> None:
        """Register what puts a plane's documents into an empty moto."""
        self._fillers.append(fill)

    @staticmethod
    def warm_up() -> None:
        """Import moto aside: it takes a third of a second, and the ports are open before."""
        threading.Thread(target=_load, daemon=True, name="moto-import").start()

    async def ready(self) -> None:
        """Wait, without holding up other ports, until moto is loaded and filled."""
        await asyncio.to_thread(_load)
        self._occupy()

    def _occupy(self) -> None:
        if Moto._resident is self.world.tables:
            return
        from moto.s3.models import s3_backends
        from moto.sqs.models import sqs_backends

        s3_backends.reset()
        s3_backends.bucket_accounts.clear()
        sqs_backends.reset()
        Moto._resident = self.world.tables
        for fill in self._fillers:
            fill()

    def s3(self, method: str, path: str, project_id: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Have moto answer an S3 request in path style.

        Args:
            path: with the query, percent-encoded: "/bucket/key?acl".
            project_id: the owner's, as the account.
        """
        from moto.s3.responses import S3Response

        bare = path.partition("?")[0].strip("/")
        dispatch = S3Response.key_dispatch if "/" in bare else S3Response.bucket_dispatch
        return _dispatch(dispatch, method, path, project_id, f"{REGION}/s3", headers, body)

    def sqs(self, host: str, project_id: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Have moto answer an SQS request.

        Args:
            host: the host and port that the client called, which its queue URLs name.
        """
        from moto.sqs.responses import SQSResponse

        scope = f"{INNER_REGION}/sqs"
        return _dispatch(SQSResponse.dispatch, "POST", "/", account_of(project_id), scope, headers, body, host)

    @staticmethod
    def queue(project_id: str, name: str) -> Any:
        """The queue inside moto, for what its API does not tell."""
        from moto.sqs.models import sqs_backends

        return sqs_backends[account_of(project_id)][INNER_REGION].queues[name]


def account_of(project_id: str) -> str:
    """The account in ARNs and URLs of queues."""
    return f"project-{project_id}"


def _load() -> None:
    import moto.s3.responses
    import moto.sqs.responses  # noqa: F401


def _dispatch(
    dispatch: Callable[..., tuple[int, Mapping[str, Any], str | bytes]],
    method: str,
    path: str,
    account: str,
    scope: str,
    headers: Mapping[str, str],
    body: bytes,
    host: str = "127.0.0.1",
) -> Answer:
    from moto.core.request import Request

    sent = {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP}
    sent |= {
        "x-moto-account-id": account,
        "Host": host,
        "Authorization": f"AWS4-HMAC-SHA256 Credential=SCW/20260101/{scope}/aws4_request, "
        "SignedHeaders=host, Signature=0",
    }
    url = f"http://{host}{path}"
    request = Request.from_primitives(method, url, sent, body)
    status, answered, content = dispatch(request, url, request.headers)
    data = content.encode() if isinstance(content, str) else bytes(content)
    return Answer(int(status), data, {str(name): str(value) for name, value in answered.items()})
