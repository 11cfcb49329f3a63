"""The way to Temporal, for workers and clients alike."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

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


async def connect() -> Client:
    """A client as `TEMPORAL_*` and Temporal's configuration file say: address, namespace, TLS, API key.

    Raises:
        TemporalUnreachable: nobody answers.
        TemporalRefused: the settings do not fit.
    """
    options: dict[str, Any] = {"target_host": DEFAULT_ADDRESS}
    try:
        options.update(_settings())
        return await Client.connect(**options, plugins=[EnginePlugin()], interceptors=tracing(), runtime=runtime())
    except (OSError, ValueError) as error:
        raise TemporalRefused(
            f"the settings of Temporal ({options['target_host']}) do not fit: {error}",
            remedy="check TEMPORAL_* and Temporal's configuration file",
        ) from None
    except RuntimeError as error:
        raise _not_connected(options["target_host"], str(error)) from None


_REFUSALS = (
    (r"status: 40[13] |Unauthenticated|PermissionDenied", "the API key is refused", "check TEMPORAL_API_KEY"),
    (
        r"received fatal alert: (\w+)",
        "TLS: it refuses our certificate",
        "check TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH",
    ),
    (
        r"InvalidCertificate\((\w+)",
        "TLS: its certificate cannot be trusted",
        "check TEMPORAL_TLS_SERVER_CA_CERT_PATH and TEMPORAL_TLS_SERVER_NAME",
    ),
    (
        r"BrokenPipe|connection closed",
        "it hangs up; it may want TLS, or another certificate",
        "set TEMPORAL_TLS_*, or TEMPORAL_API_KEY",
    ),
)
"""How the SDK's transport words what somebody who answers does not like, and what that means."""


def _not_connected(address: str, words: str) -> EngineError:
    """What the SDK says when it cannot connect, for people."""
    for pattern, reason, remedy in _REFUSALS:
        if found := re.search(pattern, words):
            detail = f" ({found[1]})" if found.re.groups else ""
            return TemporalRefused(f"Temporal at {address}: {reason}{detail}", remedy=remedy)
    reason = "connection refused" if "refused" in words else words.splitlines()[0]
    return TemporalUnreachable(
        f"no Temporal at {address}: {reason}",
        remedy="start one with `scaleway-infra dev`, or set TEMPORAL_ADDRESS",
    )


def _settings() -> Mapping[str, Any]:
    # CI systems leave a variable empty where they have no value for it; an empty key would turn TLS on.
    given = {name: value for name, value in os.environ.items() if value}
    try:
        return ClientConfig.load_client_connect_config(override_env_vars=given)
    except RuntimeError as error:
        raise ValueError(error) from None


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
