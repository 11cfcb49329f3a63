"""The way to Temporal, for workers and clients alike."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.envconfig import ClientConfig

from blueprint.errors import EngineError
from workflows.plugin import EnginePlugin
from workflows.telemetry import tracing

DEFAULT_ADDRESS = "localhost:7233"


class TemporalUnreachable(EngineError):
    """Nobody answers at the address of Temporal."""

    code = "temporal_unreachable"


async def connect() -> Client:
    """A client as `TEMPORAL_*` and Temporal's configuration file say: address, namespace, TLS, API key.

    Raises:
        TemporalUnreachable: nobody answers.
    """
    options = ClientConfig.load_client_connect_config()
    options.setdefault("target_host", DEFAULT_ADDRESS)
    try:
        return await Client.connect(**options, plugins=[EnginePlugin()], interceptors=tracing())
    except RuntimeError as error:
        reason = "connection refused" if "refused" in str(error) else str(error).splitlines()[0]
        raise TemporalUnreachable(
            f"no Temporal at {options['target_host']}: {reason}",
            remedy="start one with `scaleway-infra dev`, or set TEMPORAL_ADDRESS",
        ) from None
