"""Calls to the outside: each is a span of the activity that makes it, and a point in a histogram.

A span says to whom, what, and how it ended, and never what was said: no query, no header, no body, no message. Where an
address is itself a secret, as a signed one is, it names the host alone.

with calls.http("VpcV2API/list_vpcs", "GET", url) as call:
    response = ...
    call.answered(response.status_code)
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from blueprint.errors import EngineError
from telemetry import metrics
from telemetry.catalogue import HTTP_REQUEST, SSH_COMMAND, Metric
from telemetry.spans import FAILED, SCOPE, WELL, Provider

_tracer = trace.get_tracer(SCOPE.name)
_ERROR = "error.type"


class Call:
    """One call, from now on until the block ends.

    Args:
        name: of the span.
        attributes: of the span.
        duration: the metric that it counts for; None for none.
        measured: attributes of the metric, besides those that its end adds.
    """

    def __init__(
        self,
        name: str,
        attributes: Mapping[str, AttributeValue],
        duration: Metric | None = None,
        measured: Mapping[str, str | int] | None = None,
    ) -> None:
        self._name = name
        self._attributes = dict(attributes)
        self._duration = duration
        self._measured = dict(measured or {})
        self._parent = trace.get_current_span().get_span_context()
        self._at = time.time_ns()
        self._began = time.perf_counter()

    def answered(self, status: int, resent: int = 0) -> None:
        """There is an answer.

        Args:
            status: of HTTP.
            resent: how often the request had to be sent again for it.
        """
        self._measured["http.response.status_code"] = self._attributes["http.response.status_code"] = status
        if resent:
            self._attributes["http.request.resend_count"] = resent
        if status >= 400:
            self.failed(str(status))

    def exited(self, code: int) -> None:
        """The command ended with that exit code."""
        self._attributes["process.exit.code"] = code
        if code:
            self.failed("exit code")

    def failed(self, error: str) -> None:
        """It ended badly: a status, a class of exceptions or a code, never a message."""
        self._measured[_ERROR] = self._attributes[_ERROR] = error

    def end(self) -> None:
        """It is over."""
        if self._duration:
            metrics.record(self._duration, time.perf_counter() - self._began, self._measured)
        status = FAILED if _ERROR in self._attributes else WELL
        provider = trace.get_tracer_provider()
        if self._parent.is_valid and isinstance(provider, Provider):
            context = provider.child_of(self._parent)
            provider.write(self._name, context, self._parent, self._at, self._attributes, status=status)
            return
        span = _tracer.start_span(self._name, kind=SpanKind.CLIENT, attributes=self._attributes, start_time=self._at)
        span.set_status(status)
        span.end()

    def __enter__(self) -> Call:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind and _ERROR not in self._attributes:
            self.failed(error.code if isinstance(error, EngineError) else kind.__name__)
        self.end()


def http(operation: str, method: str, url: str, *, system: str = "", signed: bool = False) -> Call:
    """A call over HTTP.

    Args:
        operation: "VpcV2API/list_vpcs", "S3/PutObject": as many as there are operations, without ids; empty if it has
            no name.
        method: of HTTP.
        url: where to; its query and whatever stands before the host are left out.
        system: whose operation it is: "scaleway", "aws-api".
        signed: the path may be as secret as the query, or is nobody's business.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    attributes: dict[str, AttributeValue] = {
        "http.request.method": method,
        "server.address": host,
        "server.port": port,
        "url.full": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{'' if signed else parts.path}",
    }
    measured: dict[str, str | int] = {"http.request.method": method, "server.address": host}
    if operation:
        attributes |= {"rpc.system.name": system, "rpc.method": operation}
        measured["rpc.method"] = operation
    return Call(operation or method, attributes, HTTP_REQUEST, measured)


def ssh(script: str, node: str, host: str, port: int) -> Call:
    """A script on a machine, or what has to be said before one.

    Args:
        script: its name: as many as there are scripts.
        node: the machine's name.
        host: its address.
        port: of its SSH server.
    """
    attributes: dict[str, AttributeValue] = {
        "server.address": host,
        "server.port": port,
        "network.protocol.name": "ssh",
        "scaleway_infra.node": node,
        "scaleway_infra.script": script,
    }
    return Call(f"ssh {script}", attributes, SSH_COMMAND, {"script": script})


def dns(name: str, type: str, host: str, port: int) -> Call:
    """A question to a name server.

    Args:
        name: what is asked for.
        type: of its records: "A", "CNAME".
        host: the name server's address.
        port: where it listens.
    """
    attributes: dict[str, AttributeValue] = {
        "server.address": host,
        "server.port": port,
        "network.protocol.name": "dns",
        "dns.question.name": name,
    }
    return Call(f"dns {type}", attributes)


def tls(name: str, port: int) -> Call:
    """A handshake for its own sake, the way there included.

    Args:
        name: that the certificate has to be for.
        port: where it is shown.
    """
    return Call("tls handshake", {"server.address": name, "server.port": port, "network.protocol.name": "tls"})


def grpc(operation: str) -> Call:
    """A call of Temporal's client, which measures itself.

    Args:
        operation: "ScheduleHandle.describe".
    """
    return Call(operation, {"rpc.system.name": "grpc", "rpc.method": operation})
