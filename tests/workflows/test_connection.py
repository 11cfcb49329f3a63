"""The way to a Temporal that wants TLS, a certificate of the client, and an API key, as a team's server does.

The real server is behind HAProxy, which ends TLS with certificates made here.
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import os
import re
import shutil
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from starters.child import HOST, Child, free_port, listens
from starters.engine import Engine
from starters.temporal_server import TemporalServer
from tests.emulator.conftest import running
from tests.starters import eventually
from tests.workflows.house import PACE, UI, request, scaleway_environment, small
from workflows.connection import TemporalRefused, TemporalUnreachable, connect, not_connected

API_KEY = "the-key-of-a-team"
OUR_CERTIFICATE = (
    r"(TLS: it refuses our certificate \((CertificateRequired|DecryptError)\)"
    r"|it hangs up after the TLS handshake; it may want another certificate) -> check TEMPORAL_TLS_CLIENT_CERT_PATH"
)
"""The alert says so, unless the end of its connection overtakes it."""
NO_NAME = "n" * 64
"""Too long for a name in DNS: no resolver is asked."""
CONFIGURATION = """
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend tls
  bind {host}:{port} ssl crt {folder}/server.pem ca-file {folder}/authority.pem verify required alpn h2
  http-request deny unless {{ req.hdr(authorization) -m str "Bearer {key}" }}
  default_backend temporal
backend temporal
  server temporal {address} proto h2
frontend of-nobody
  bind {host}:{unserved} proto h2
  default_backend nobody
backend nobody
  server nobody {host}:1 proto h2
"""


class Authority:
    """Certificates of one authority.

    Args:
        folder: where they are: `authority.pem`, and for each name a file of certificate and key.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("authority")
        certificate = self._builder("authority", self._key).add_extension(x509.BasicConstraints(True, 0), critical=True)
        signed = certificate.sign(self._key, hashes.SHA256())
        (folder / "authority.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, usage: x509.ObjectIdentifier) -> None:
        """Make `NAME.pem`, with the key, and `NAME.key`."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder(name, key)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self._folder / f"{name}.key").write_bytes(private)
        (self._folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)

    def _builder(self, name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
        )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@pytest.fixture(scope="module")
def unserved() -> int:
    """The port of a proxy with nobody behind."""
    return free_port()


@pytest.fixture(scope="module")
def front(
    temporal: TemporalServer, unserved: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """TLS before Temporal; the settings with which it lets one in."""
    if not shutil.which("haproxy"):
        pytest.skip("haproxy is not installed")
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    authority.issue("server", ExtendedKeyUsageOID.SERVER_AUTH)
    authority.issue("client", ExtendedKeyUsageOID.CLIENT_AUTH)
    (folder / "another").mkdir()
    Authority(folder / "another").issue("client", ExtendedKeyUsageOID.CLIENT_AUTH)
    port = free_port()
    text = CONFIGURATION.format(
        host=HOST, port=port, folder=folder, key=API_KEY, address=temporal.address, unserved=unserved
    )
    (folder / "haproxy.cfg").write_text(text)
    child = Child("haproxy", ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")], folder / "log")
    child.start()
    try:
        eventually(lambda: listens(port) or child.returncode is not None)
        assert child.returncode is None, child.last_words()
        yield {
            "TEMPORAL_ADDRESS": f"{HOST}:{port}",
            "TEMPORAL_NAMESPACE": temporal.namespace,
            "TEMPORAL_API_KEY": API_KEY,
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(folder / "authority.pem"),
            "TEMPORAL_TLS_CLIENT_CERT_PATH": str(folder / "client.pem"),
            "TEMPORAL_TLS_CLIENT_KEY_PATH": str(folder / "client.key"),
        }
    finally:
        child.stop(5)


def test_a_plan_over_tls(front: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker and whoever starts a run both come in through it, by settings alone."""
    for name, value in front.items():
        monkeypatch.setenv(name, value)
    with running() as api:
        scaleway = scaleway_environment(api) | {"SCALEWAY_INFRA_PACE": str(PACE)}
        worker = Child("the worker", [sys.executable, "-m", "worker"], tmp_path / "log", {**os.environ, **scaleway})
        worker.start()

        async def planned() -> object:
            engine = Engine(await connect(), UI)
            return await engine.plan(request(small()))

        try:
            assert asyncio.run(asyncio.wait_for(planned(), 60)), worker.last_words()
        finally:
            worker.stop(5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"TEMPORAL_API_KEY": "another"}, "the API key is refused"),
        ({"TEMPORAL_API_KEY": ""}, "the API key is refused"),
        (
            {"TEMPORAL_TLS_CLIENT_CERT_PATH": "", "TEMPORAL_TLS_CLIENT_KEY_PATH": ""},
            OUR_CERTIFICATE,
        ),
        (
            {"TEMPORAL_TLS_CLIENT_CERT_PATH": "another", "TEMPORAL_TLS_CLIENT_KEY_PATH": "another"},
            OUR_CERTIFICATE,
        ),
        (
            {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": ""},
            r"its certificate cannot be trusted \(UnknownIssuer\) -> check TEMPORAL_TLS_SERVER_CA_CERT_PATH",
        ),
        ({"TEMPORAL_TLS": "false"}, "it may want TLS"),
        ({"TEMPORAL_TLS_CLIENT_CERT_PATH": "/nowhere.pem"}, "/nowhere.pem"),
    ],
    ids=["another key", "no key", "no certificate", "another certificate", "unknown authority", "no TLS", "no file"],
)
def test_refused(front: dict[str, str], monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], words: str) -> None:
    """What does not fit is said so that one knows where to look."""
    for name, value in {**front, **changes}.items():
        folder = Path(front[name]).parent if value == "another" and name.endswith("_PATH") else None
        monkeypatch.setenv(name, str(folder / "another" / Path(front[name]).name) if folder else value)
    assert re.search(words, _refused(front["TEMPORAL_ADDRESS"], monkeypatch))


def test_nobody_behind_a_proxy(front: dict[str, str], unserved: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy answers for a Temporal that is not there."""
    assert "503 Service Unavailable" in _unreachable(f"{HOST}:{unserved}", monkeypatch)


def test_tls_to_one_that_has_none(temporal: TemporalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is enough to turn TLS on: whoever works with a local Temporal is told so."""
    monkeypatch.setenv("TEMPORAL_API_KEY", API_KEY)
    assert "it does not seem to speak TLS -> set TEMPORAL_TLS=false" in _refused(temporal.address, monkeypatch)


def _resets(connection: socket.socket) -> None:
    connection.recv(1)
    # Closed with no time to linger: the other side gets RST instead of FIN.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _ends(connection: socket.socket) -> None:
    connection.close()


def _alerts(connection: socket.socket) -> None:
    handshake_failure = bytes([21, 3, 3, 0, 2, 2, 40])
    connection.recv(65536)
    connection.sendall(handshake_failure)
    connection.close()


@contextmanager
def _answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of one that does this to each connection."""
    with socket.create_server((HOST, 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"{HOST}:{server.getsockname()[1]}"
        finally:
            # Closing alone does not wake a thread that waits in accept.
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)


@pytest.mark.parametrize(
    ("answer", "tls", "words"),
    [
        (_resets, False, "it hangs up; it may want TLS"),
        (_ends, False, "it hangs up; it may want TLS"),
        (_alerts, False, "it hangs up; it may want TLS"),
        (_resets, True, "it does not seem to speak TLS"),
        (_ends, True, "it does not seem to speak TLS"),
        (_alerts, True, "it ends the handshake (HandshakeFailure)"),
    ],
)
def test_hung_up(
    answer: Callable[[socket.socket], None], tls: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the other side closes, and whoever is faster: the same is said."""
    monkeypatch.setenv("TEMPORAL_TLS", str(tls).lower())
    with _answering(answer) as address:
        for _ in range(5):
            assert words in _refused(address, monkeypatch)


@pytest.mark.parametrize(
    ("transport", "words"),
    [
        (
            'hyper::Error(Io, Custom { kind: InvalidData, error: "received fatal alert: CertificateRequired" })',
            "TLS: it refuses our certificate (CertificateRequired) -> check TEMPORAL_TLS_CLIENT_CERT_PATH",
        ),
        (
            "ConnectError(Custom { kind: InvalidData, error: AlertReceived(UnknownCA) })",
            "TLS: it refuses our certificate (UnknownCA) -> check TEMPORAL_TLS_CLIENT_CERT_PATH",
        ),
        (
            "hyper::Error(Io, Kind(ConnectionReset))",
            "it hangs up after the TLS handshake; it may want another certificate -> check TEMPORAL_TLS_CLIENT_CERT",
        ),
    ],
)
def test_what_the_transport_says_of_our_certificate(transport: str, words: str) -> None:
    """An alert that arrives is told by its name, during the handshake and after it; one that was overtaken is not."""
    options = {"target_host": "temporal.test:7233", "tls": True}
    assert words in str(not_connected(options, f"Status {{ source: Some({transport}) }}"))


@pytest.mark.parametrize("tls", [False, True])
def test_silent(tls: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes the connection and says nothing is not waited for without end, in a handshake neither."""
    monkeypatch.setenv("TEMPORAL_TLS", str(tls).lower())
    with socket.create_server((HOST, 0)) as server:
        address = f"{HOST}:{server.getsockname()[1]}"
        assert f"no Temporal at {address}: it does not answer" in _unreachable(address, monkeypatch, patience=1.0)


@pytest.mark.parametrize(
    ("address", "words"), [(f"{HOST}:1", "connection refused"), (f"{NO_NAME}:7233", "nobody knows that name")]
)
def test_not_there(address: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, and not the transport's own nest of errors."""
    assert f"no Temporal at {address}: {words} -> start one" in _unreachable(address, monkeypatch)


def _refused(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    with pytest.raises(TemporalRefused) as refused:
        asyncio.run(asyncio.wait_for(connect(), 60))
    return str(refused.value)


def _unreachable(address: str, monkeypatch: pytest.MonkeyPatch, patience: float = 40.0) -> str:
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    with pytest.raises(TemporalUnreachable) as unreachable:
        asyncio.run(asyncio.wait_for(connect(patience), 60))
    return str(unreachable.value)
