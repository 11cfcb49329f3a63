"""What counts as a failure, and by which name."""

from __future__ import annotations

import errno
import ssl

import aiohttp

REFUSED = "refused"
RESET = "reset"
UNREACHABLE = "unreachable"
UNRESOLVED = "name not resolved"
TLS = "TLS"
TIMEOUT = "timeout"
NO_ANSWER = "no answer"
TRUNCATED = "cut answer"
GARBLED = "not HTTP"
WRONG_BODY = "wrong body"
NO_ECHO = "no echo"


class Unanswered(aiohttp.ClientError):
    """The connection ended before any answer, and this request may not be sent twice; the cause says how."""


def name_of(error: BaseException) -> str:
    """Name the failure that an exception of the client stands for.

    A status of 400 or more is no exception: its number is its name.
    """
    if isinstance(error, Unanswered) and error.__cause__ is not None:
        return name_of(error.__cause__)
    for sort, name in _NAMES:
        if isinstance(error, sort):
            return name
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return str(error.status)
    if isinstance(error, OSError):
        return _ERRNOS.get(error.errno or 0, UNREACHABLE if isinstance(error, aiohttp.ClientConnectorError) else RESET)
    return GARBLED if isinstance(error, aiohttp.ClientResponseError) else type(error).__name__


# The first that fits counts: time-outs and TLS errors are OSErrors too.
_NAMES: tuple[tuple[type[BaseException], str], ...] = (
    (aiohttp.ClientConnectorDNSError, UNRESOLVED),
    (aiohttp.ClientSSLError, TLS),
    (ssl.SSLError, TLS),
    (TimeoutError, TIMEOUT),
    (aiohttp.ServerDisconnectedError, NO_ANSWER),
    (aiohttp.ClientPayloadError, TRUNCATED),
)

_ERRNOS = {errno.ECONNREFUSED: REFUSED, errno.ECONNRESET: RESET, errno.EPIPE: RESET}
