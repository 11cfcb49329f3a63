"""Calls to the outside, as they are described: to whom, what, and how it ended, and nothing of what was said."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError
from dnslib.server import BaseResolver, DNSServer
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from activities.backup.objects.loop import loop
from activities.health.resolver import Resolver, Unanswered
from activities.health.traffic import look_at_traffic
from blueprint.contract import Target
from blueprint.errors import Throttled
from blueprint.health.contract import HealthSite, Host, Traffic
from telemetry import calls
from telemetry.boto import watched
from telemetry.threads import Threads
from tests.telemetry.spans import installed

SECRET = "planted-0f7c"


@pytest.fixture(params=["alone", "as a part"])
def spans(request: pytest.FixtureRequest) -> Iterator[InMemorySpanExporter]:
    """The spans that this test makes: by themselves, or as parts of one that goes elsewhere."""
    exporter = InMemorySpanExporter()
    outside = TracerProvider().get_tracer("test").start_as_current_span("outside")
    with installed(exporter), outside if request.param == "as a part" else nullcontext():
        yield exporter


def only(spans: InMemorySpanExporter) -> ReadableSpan:
    """The one span that was made."""
    (span,) = spans.get_finished_spans()
    return span


def test_no_query_and_no_credentials(spans: InMemorySpanExporter) -> None:
    """The address of a span has neither; the path stays."""
    url = f"https://user:{SECRET}@api.example.test:8443/vpc/v2/vpcs?token={SECRET}#{SECRET}"
    with calls.http("VpcV2API/list_vpcs", "GET", url, system="scaleway") as call:
        call.answered(200)
    span = only(spans)
    assert span.name == "VpcV2API/list_vpcs"
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    assert (span.start_time or 0) < (span.end_time or 0)
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "server.address": "api.example.test",
        "server.port": 8443,
        "url.full": "https://api.example.test:8443/vpc/v2/vpcs",
        "rpc.system.name": "scaleway",
        "rpc.method": "VpcV2API/list_vpcs",
        "http.response.status_code": 200,
    }
    assert SECRET not in span.to_json()


def test_a_signed_address_is_its_host(spans: InMemorySpanExporter) -> None:
    """A path may be a secret, too."""
    with calls.http("", "GET", f"https://hc.example.test/{SECRET}", signed=True) as call:
        call.answered(200)
    assert SECRET not in only(spans).to_json()
    assert (only(spans).attributes or {})["url.full"] == "https://hc.example.test"


@pytest.mark.parametrize(
    ("error", "type"), [(ValueError(SECRET), "ValueError"), (Throttled(f"later, {SECRET}"), "throttled")]
)
def test_an_error_is_its_class_or_code(spans: InMemorySpanExporter, error: Exception, type: str) -> None:
    """Messages may hold anything."""
    with pytest.raises(type_of(error)), calls.http("", "GET", "http://127.0.0.1/"):
        raise error
    span = only(spans)
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == type
    assert SECRET not in span.to_json()


def type_of(error: Exception) -> type[Exception]:
    """Its class."""
    return error.__class__


def test_a_bad_answer_is_an_error(spans: InMemorySpanExporter) -> None:
    """By its status."""
    with calls.http("", "GET", "http://127.0.0.1/") as call:
        call.answered(404)
    assert (only(spans).attributes or {})["error.type"] == "404"


def test_boto_without_an_answer(spans: InMemorySpanExporter) -> None:
    """A call that reaches nobody ends its span, too."""
    client = watched(
        boto3.client(
            "s3",
            region_name="fr-par",
            endpoint_url="http://127.0.0.1:9",
            aws_access_key_id="a",
            aws_secret_access_key=SECRET,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )
    )
    with pytest.raises(EndpointConnectionError):
        client.list_objects_v2(Bucket="b", Prefix=SECRET)
    span = only(spans)
    assert span.name == "S3/ListObjectsV2"
    assert (span.attributes or {})["error.type"] == "EndpointConnectionError"
    assert (span.attributes or {})["url.full"] == "http://127.0.0.1:9/b"
    assert SECRET not in span.to_json()


def test_a_question_to_a_name_server(spans: InMemorySpanExporter) -> None:
    """What was asked of whom; that a name does not exist is how it ended."""
    server = DNSServer(BaseResolver(), address="127.0.0.1", port=0)
    server.start_thread()
    try:
        host, port = server.server.server_address
        with pytest.raises(Unanswered, match="does not exist"):
            Resolver([(host, port)], 5.0).ask("api.example.test", "A")
    finally:
        server.stop()
    span = only(spans)
    assert (span.name, span.kind) == ("dns A", SpanKind.CLIENT)
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {}) == {
        "server.address": host,
        "server.port": port,
        "network.protocol.name": "dns",
        "dns.question.name": "api.example.test",
        "error.type": "NXDOMAIN",
    }


def test_a_handshake_with_nobody(spans: InMemorySpanExporter) -> None:
    """It names the host that the certificate is for, which need not be where DNS leads to."""
    traffic = Traffic(hosts=(Host(name="localhost", port=9),))
    site = HealthSite(target=Target(org="a", env="b", region="fr-par", zone="fr-par-1"), traffic=traffic)
    [check] = asyncio.run(look_at_traffic(site, None))
    assert not check.up
    span = only(spans)
    assert (span.name, span.kind) == ("tls handshake", SpanKind.CLIENT)
    attributes = dict(span.attributes or {})
    assert attributes.pop("error.type") in ("ConnectionRefusedError", "OSError"), "of one address, or of several"
    assert attributes == {"server.address": "localhost", "server.port": 9, "network.protocol.name": "tls"}


def test_part_of_what_nobody_wants(spans: InMemorySpanExporter) -> None:
    """Whether a trace is kept is decided where it begins."""
    with trace.use_span(trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=True))):
        calls.http("", "GET", "http://127.0.0.1/").end()
    assert not spans.get_finished_spans()


@pytest.mark.parametrize("elsewhere", ["a thread", "the loop of object storage"])
def test_what_works_elsewhere_works_on_somebodys_behalf(spans: InMemorySpanExporter, elsewhere: str) -> None:
    """What is called there belongs to the span of whoever gave it away."""

    def call() -> None:
        calls.http("", "GET", "http://127.0.0.1/").end()

    async def call_there() -> None:
        call()

    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("outside") as outside, Threads(1) as pool:
        (pool.submit(call) if elsewhere == "a thread" else loop().start(call_there())).result()
    parent = only(spans).parent
    assert parent
    assert parent.span_id == outside.get_span_context().span_id
