"""Checks from outside, against servers that answer well, badly or not at all."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import WSMsgType, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from activities.cloud import Cloud
from activities.health.names import look_at_names
from activities.health.queues import look_at_queues
from activities.health.resolver import Resolver, Unanswered
from activities.health.traffic import look_at_traffic
from activities.kinds.sqs import QueueLifecycle
from blueprint.environment import parse
from blueprint.health.contract import Check, HealthSite, Host, Queues, Records, Traffic, Zone
from blueprint.health.site_of import health_site
from tests.activities.conftest import TARGET, Control
from tests.activities.site import Site
from tests.emulator.real.haproxy_servers import Loop
from tests.emulator.real.local import eventually
from tests.telemetry.spans import installed

T = TypeVar("T")
ZONE = "lssm.tech"
SQS: dict[str, Any] = {"sqs": {"queues": {"shop/jobs": {}}}, "health": {}}


def troubles(checks: list[Check]) -> dict[str, str]:
    """What is wrong, by check."""
    return {check.name: check.trouble for check in checks}


# -- names -------------------------------------------------------------------------------------------------------


@pytest.fixture
def resolver(emulator: Control) -> Resolver:
    """Asks the emulator's name server, which serves a zone."""
    emulator.call("POST", "/domain/v2beta1/dns-zones", {"domain": ZONE, "subdomain": ""})
    return Resolver.of(emulator.endpoints["dns"], 2.0)


def put(emulator: Control, *records: tuple[str, str, str]) -> None:
    """Add records to the zone."""
    added = [{"name": name, "type": type_, "data": data, "ttl": 300, "priority": 0} for name, type_, data in records]
    emulator.call("PATCH", f"/domain/v2beta1/dns-zones/{ZONE}/records", {"changes": [{"add": {"records": added}}]})


def zone(*records: tuple[str, str, str]) -> HealthSite:
    """The zone with these records declared; without a value, that of the load balancer."""
    found = tuple(Records(name=f"{name}.{ZONE}", type=type_, values=(v,) if v else ()) for name, type_, v in records)
    return HealthSite(target=TARGET, zones=(Zone(name=ZONE, records=found),))


def test_dns_answers_as_declared(cloud: Cloud, emulator: Control, resolver: Resolver) -> None:
    """Of each type, a wildcard among them; and what it says otherwise is told."""
    put(
        emulator,
        ("api", "A", "203.0.113.7"),
        ("app", "CNAME", "cname.vercel-dns.com."),
        ("*", "A", "203.0.113.9"),
        ("txt", "TXT", '"hello"'),
    )
    good = zone(("api", "A", "203.0.113.7"), ("app", "CNAME", "cname.vercel-dns.com."), ("txt", "TXT", "hello"))
    assert troubles(look_at_names(good, resolver, cloud)) == {f"dns/{ZONE}": ""}
    assert troubles(look_at_names(zone(("*", "A", "203.0.113.9")), resolver, cloud)) == {f"dns/{ZONE}": ""}

    bad = look_at_names(zone(("api", "A", ""), ("app", "CNAME", "elsewhere.org.")), resolver, cloud)
    [trouble] = troubles(bad).values()
    assert f"api.{ZONE} A is 203.0.113.7, not nothing" in trouble
    assert f"app.{ZONE} CNAME is cname.vercel-dns.com., not elsewhere.org." in trouble


def test_questions_belong_to_whoever_asks(cloud: Cloud, emulator: Control, resolver: Resolver) -> None:
    """Threads ask them, and each is a part of the activity's span all the same; one that is answered is well."""
    put(emulator, ("api", "A", "203.0.113.7"), ("www", "A", "203.0.113.7"))
    exporter = InMemorySpanExporter()
    with installed(exporter), TracerProvider().get_tracer("test").start_as_current_span("outside") as outside:
        look_at_names(zone(("api", "A", "203.0.113.7"), ("www", "A", "203.0.113.7")), resolver, cloud)
    spans = exporter.get_finished_spans()
    assert sorted(str((span.attributes or {})["dns.question.name"]) for span in spans) == [f"api.{ZONE}", f"www.{ZONE}"]
    parent = outside.get_span_context().span_id
    assert {(span.parent and span.parent.span_id, span.status.status_code) for span in spans} == {
        (parent, StatusCode.UNSET)
    }


def test_a_name_server_that_is_away(emulator: Control, resolver: Resolver) -> None:
    """The next one is asked; that none answers is no answer, and not an empty one."""
    put(emulator, ("api", "A", "203.0.113.7"))
    host, _, port = emulator.endpoints["dns"].rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        away = silent.getsockname()
        assert Resolver([away, (host, int(port))], 1.0).ask(f"api.{ZONE}", "A") == ("203.0.113.7",)
        with pytest.raises(Unanswered, match="does not answer"):
            Resolver([away], 0.2).ask(f"api.{ZONE}", "A")
    with pytest.raises(Unanswered, match="REFUSED"):
        resolver.ask("www.example.org", "A")


# -- what users ask ----------------------------------------------------------------------------------------------


@dataclass
class Application:
    """Answers as a test wants it to."""

    status: int = 200
    graphql: Any = field(default_factory=lambda: {"data": {"__typename": "Query"}})
    echoes: bool = True
    pause: float = 0.0

    def routes(self) -> web.Application:
        """Its paths."""
        application = web.Application()
        application.router.add_get("/healthz", self._answer)
        application.router.add_get("/rest/release", self._answer)
        application.router.add_post("/graphql", self._graphql)
        application.router.add_get("/ws", self._echo)
        return application

    async def _answer(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self.pause)
        return web.Response(status=self.status)

    async def _graphql(self, request: web.Request) -> web.Response:
        assert (await request.json())["query"] == "{ __typename }"
        return web.json_response(self.graphql)

    async def _echo(self, request: web.Request) -> web.WebSocketResponse:
        talk = web.WebSocketResponse()
        await talk.prepare(request)
        await talk.send_json({"release": "abc"})
        async for message in talk:
            if not self.echoes:
                break
            if message.type == WSMsgType.TEXT:
                await talk.send_str(message.data)
        return talk


@pytest.fixture
def loop() -> Iterator[Loop]:
    """Where servers run."""
    made = Loop()
    yield made
    made.close()


@contextmanager
def serving(loop: Loop, application: Application, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The application on 127.0.0.1; its port."""

    async def begin() -> web.AppRunner:
        runner = web.AppRunner(application.routes(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        return runner

    runner = loop.run(begin())
    try:
        yield runner.addresses[0][1]
    finally:
        loop.run(runner.cleanup())


def asked(traffic: Traffic, resolver: Resolver | None = None, timeout: float = 5.0) -> dict[str, str]:
    """What is wrong with the application, by check."""
    site = HealthSite(target=TARGET, traffic=traffic, timeout=timeout)
    return troubles(asyncio.run(look_at_traffic(site, resolver)))


def at(url: str) -> Traffic:
    """Every path of the application there."""
    return Traffic(url=url, rest="/rest/release", graphql="/graphql", websocket="/ws")


def test_an_application_that_is_well(loop: Loop) -> None:
    """All of it is asked, and nothing more than the file names."""
    with serving(loop, Application()) as port:
        found = asked(at(f"http://127.0.0.1:{port}"))
        assert found == dict.fromkeys(("healthz", "rest", "graphql", "websocket"), "")
        assert set(asked(Traffic(url=f"http://127.0.0.1:{port}"))) == {"healthz"}
        assert asked(Traffic()) == {}


def test_an_application_that_is_not(loop: Loop) -> None:
    """Each check tells its own trouble."""
    broken = Application(status=503, graphql={"errors": [{"message": "no database"}]}, echoes=False)
    with serving(loop, broken) as port:
        found = asked(at(f"http://127.0.0.1:{port}"))
        assert found["healthz"] == found["rest"] == "it answers 503"
        assert found["graphql"] == "it answers with an error: no database"
        assert found["websocket"] == "it was closed before the echo"
        wrong = asked(Traffic(url=f"http://127.0.0.1:{port}", websocket="/healthz"))
        assert wrong["websocket"] == "it answers 503 instead of becoming a WebSocket"


def test_an_application_that_does_not_answer(loop: Loop) -> None:
    """In time, or at all."""
    with serving(loop, Application(pause=30)) as port:
        assert asked(Traffic(url=f"http://127.0.0.1:{port}"), timeout=1.0) == {"healthz": "no answer in time"}
    assert asked(at(f"http://127.0.0.1:{port}"))["healthz"] == "no answer: connection refused"


# -- certificates ------------------------------------------------------------------------------------------------


def certified(folder: Path, name: str, days: int) -> tuple[ssl.SSLContext, Path]:
    """A server's side with a certificate of its own making, and the file that makes it trusted."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=90))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / f"{name}.crt", folder / f"{name}.key"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, pem, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public


@pytest.mark.parametrize(
    ("name", "days", "trusted", "trouble"),
    [
        ("api", 60, True, ""),
        ("api", 20, True, "days: it was not renewed"),
        ("api", -1, True, "certificate has expired"),
        ("other", 60, True, "Hostname mismatch"),
        ("api", 60, False, "self-signed certificate"),
    ],
    ids=["good", "ends soon", "ended", "of another name", "of nobody"],
)
def test_certificates(
    loop: Loop,
    emulator: Control,
    resolver: Resolver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    days: int,
    trusted: bool,
    trouble: str,
) -> None:
    """As a browser judges them, by the name that DNS leads from; and HTTPS is judged alike, but for the days left."""
    put(emulator, ("api", "A", "127.0.0.1"))
    context, authority = certified(tmp_path, f"{name}.{ZONE}", days)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    host, exporter = f"api.{ZONE}", InMemorySpanExporter()
    with installed(exporter), serving(loop, Application(), context) as port:
        found = asked(Traffic(url=f"https://{host}:{port}", hosts=(Host(name=host, port=port),)), resolver)

    check = found[f"tls/{host}:{port}"]
    assert trouble in check
    assert bool(check) == bool(trouble)
    refused = bool(trouble and days != 20)
    assert bool(found["healthz"]) == refused
    [handshake] = [span for span in exporter.get_finished_spans() if span.name == "tls handshake"]
    assert (handshake.attributes or {}).get("error.type") == ("SSLCertVerificationError" if refused else None)


def test_a_name_that_leads_nowhere(resolver: Resolver) -> None:
    """Users cannot come, however well the application is."""
    host = f"nobody.{ZONE}"
    found = asked(Traffic(url=f"https://{host}", hosts=(Host(name=host),)), resolver)
    assert set(found) == {"healthz", f"tls/{host}"}
    assert all("the name does not exist" in trouble for trouble in found.values())


# -- queues ------------------------------------------------------------------------------------------------------


def test_a_message_goes_through_and_nobody_else_sees_one(cloud: Cloud) -> None:
    """The application's queue is looked at; what waits there still does, and was delivered to nobody."""
    site = Site(cloud, ("secret", "sqs", "sqs_credentials", "queue"))
    site.apply(SQS)
    sqs = QueueLifecycle(cloud).client()
    jobs = sqs.get_queue_url(QueueName="shop-prod-jobs")["QueueUrl"]
    sqs.send_message(QueueUrl=jobs, MessageBody="a job")
    wanted = health_site(parse({"org": "lssm", "env": "prod", "network": {"cidr": "10.0.0.0/24"}, **SQS}), TARGET)

    # A message that another run has sent, or left behind, is in nobody's way.
    own = sqs.get_queue_url(QueueName="lssm-prod-health")["QueueUrl"]
    sqs.send_message(QueueUrl=own, MessageBody="of another run")
    assert troubles(look_at_queues(wanted, cloud)) == {"queue/shop-prod-jobs": "", "queue/lssm-prod-health": ""}

    [job] = sqs.receive_message(QueueUrl=jobs, AttributeNames=["ApproximateReceiveCount"])["Messages"]
    assert (job["Body"], job["Attributes"]["ApproximateReceiveCount"]) == ("a job", "1")
    sqs.delete_queue(QueueUrl=jobs)
    assert "QueueDoesNotExist" in troubles(look_at_queues(wanted, cloud))["queue/shop-prod-jobs"]


def test_a_message_that_does_not_arrive(cloud: Cloud, emulator: Control) -> None:
    """Somebody else takes it while the check asks: it gives up in time, and that is a result."""
    site = Site(cloud, ("secret", "sqs", "sqs_credentials", "queue"))
    site.apply(SQS)
    sqs = QueueLifecycle(cloud).client()
    own = sqs.get_queue_url(QueueName="lssm-prod-health")["QueueUrl"]
    wanted = HealthSite(target=TARGET, queues=Queues(own="lssm-prod-health"), timeout=1.0)

    emulator.faults({"operation": "SQS ReceiveMessage", "kind": "slow", "seconds": 3.0})
    with ThreadPoolExecutor(1) as threads:
        looking = threads.submit(look_at_queues, wanted, cloud)
        eventually(lambda: emulator.call("GET", "/_emulator/faults")["faults"][0]["fired"] == 1, "the check asks")
        [taken] = sqs.receive_message(QueueUrl=own)["Messages"]
        sqs.delete_message(QueueUrl=own, ReceiptHandle=taken["ReceiptHandle"])

    assert "did not arrive within 1 s" in troubles(looking.result())["queue/lssm-prod-health"]
