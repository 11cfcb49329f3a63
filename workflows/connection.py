"""The way to Temporal, for workers and clients alike."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from typing import Any

from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode

from blueprint.errors import EngineError
from telemetry.metrics import runtime
from telemetry.traces import tracing
from workflows.plugin import EnginePlugin

DEFAULT_ADDRESS = "localhost:7233"


class TemporalUnreachable(EngineError):
    """Nobody answers at the address of Temporal."""

    code = "temporal_unreachable"


class TemporalRefused(EngineError):
    """Temporal answers, but not to this: another namespace, another key, settings that fit nothing."""

    code = "temporal_refused"


_PATIENCE = 40.0
"""Seconds for all of a connection. The SDK waits 30 s for the first call, but without end for a TLS handshake."""


async def connect(patience: float = _PATIENCE) -> Client:
    """A client as `TEMPORAL_*` and Temporal's configuration file say: address, namespace, TLS, API key.

    Args:
        patience: seconds until it counts as nobody that answers.

    Raises:
        TemporalUnreachable: nobody answers.
        TemporalRefused: the settings do not fit.
    """
    options: dict[str, Any] = {"target_host": DEFAULT_ADDRESS}
    try:
        options.update(_settings())
        async with asyncio.timeout(patience):
            return await Client.connect(**options, plugins=[EnginePlugin()], interceptors=tracing(), runtime=runtime())
    except TimeoutError:
        raise not_connected(options, "Timeout expired") from None
    except (OSError, ValueError) as error:
        raise TemporalRefused(
            f"the settings of Temporal ({options['target_host']}) do not fit: {error}",
            remedy="check TEMPORAL_* and Temporal's configuration file",
        ) from None
    except RuntimeError as error:
        raise not_connected(options, str(error)) from None


_OUR_CERTIFICATE = "check TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH"
_REFUSALS = (
    (r"status: 40[13] |Unauthenticated|PermissionDenied", "the API key is refused", "check TEMPORAL_API_KEY"),
    (
        # With TLS 1.3 our certificate is judged once the handshake is done; whatever is said then is about it.
        r"hyper::Error\(.*received fatal alert: (\w+)|AlertReceived\((\w*(?:Certificate|CA|Decrypt)\w*)",
        "TLS: it refuses our certificate",
        _OUR_CERTIFICATE,
    ),
    (r"AlertReceived\((\w+)", "TLS: it ends the handshake", "check the address and TEMPORAL_TLS_SERVER_NAME"),
    (
        r"InvalidCertificate\((\w+)",
        "TLS: its certificate cannot be trusted",
        "check TEMPORAL_TLS_SERVER_CA_CERT_PATH and TEMPORAL_TLS_SERVER_NAME",
    ),
)
"""How the SDK's transport words what somebody who answers does not like, and what that means."""

# One event, in words that depend on who was faster and on how the other side closes: even an alert that says why can be
# overtaken by the end of its connection. What is sure is how far it came: hyper speaks once a connection stands.
_HUNG_UP = (
    (r"hyper::Error\(|ConnectionReset", "it hangs up; it may want TLS", "set TEMPORAL_TLS_*, or TEMPORAL_API_KEY"),
)
_HUNG_UP_WITH_TLS = (
    (r"hyper::Error\(", "it hangs up after the TLS handshake; it may want another certificate", _OUR_CERTIFICATE),
    (
        r"ConnectionReset|tls handshake eof|InvalidContentType",
        "it does not seem to speak TLS",
        "set TEMPORAL_TLS=false, unless the address is wrong; an API key turns TLS on by itself",
    ),
)

_SILENCES = (
    (r"ConnectionRefused", "connection refused"),
    (r"dns error", "nobody knows that name"),
    (r"Timeout expired|TimedOut", "it does not answer"),
    (r"status: (5\d\d [\w ]*\w)", "something else answers in its place"),
)
"""How the SDK's transport words that no Temporal answers, and what that means."""


def not_connected(options: Mapping[str, Any], words: str) -> EngineError:
    """What the SDK says when it cannot connect, for people.

    Args:
        options: with which it was to connect.
        words: what its transport says.
    """
    address = options["target_host"]
    with_tls = options.get("tls", bool(options.get("api_key")))
    for pattern, reason, remedy in _REFUSALS + (_HUNG_UP_WITH_TLS if with_tls else _HUNG_UP):
        if found := re.search(pattern, words):
            return TemporalRefused(f"Temporal at {address}: {reason + _detail(found)}", remedy=remedy)
    told = (reason + _detail(found) for pattern, reason in _SILENCES if (found := re.search(pattern, words)))
    return TemporalUnreachable(
        f"no Temporal at {address}: {next(told, words.splitlines()[0])}",
        remedy="start one with `scaleway-infra dev`, or set TEMPORAL_ADDRESS",
    )


def _detail(found: re.Match[str]) -> str:
    return f" ({found[found.lastindex]})" if found.lastindex else ""


def _settings() -> Mapping[str, Any]:
    # CI systems leave a variable empty where they have no value for it; an empty key would turn TLS on.
    given = {name: value for name, value in os.environ.items() if value}
    try:
        return ClientConfig.load_client_connect_config(override_env_vars=given)
    except RuntimeError as error:
        raise ValueError(error) from None


def not_there(error: RPCError) -> bool:
    """Whether what was asked for does not exist. If its whole namespace does not, nobody knows that."""
    namespace = any(detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in error.grpc_status.details)
    return error.status == RPCStatusCode.NOT_FOUND and not namespace


def in_our_words(error: RPCError) -> EngineError:
    """What a failed call to Temporal means."""
    if error.status in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED):
        return TemporalUnreachable(
            f"Temporal does not answer any more: {error.message}", remedy="see that it runs; what was started goes on"
        )
    return TemporalRefused(
        f"Temporal refuses: {error.message}",
        remedy="check TEMPORAL_NAMESPACE, and the key or certificate in TEMPORAL_*",
    )
