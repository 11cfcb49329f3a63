"""The way to a Temporal that wants TLS, a certificate of the client, and an API key, as a team's server does.

The real server is behind HAProxy, which ends TLS with certificates made here.
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import os
import shutil
import sys
from collections.abc import Iterator
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
from workflows.connection import TemporalRefused, connect

pytestmark = pytest.mark.skipif(not shutil.which("haproxy"), reason="haproxy is not installed")

API_KEY = "the-key-of-a-team"
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
def front(temporal: TemporalServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """TLS before Temporal; the settings with which it lets one in."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    authority.issue("server", ExtendedKeyUsageOID.SERVER_AUTH)
    authority.issue("client", ExtendedKeyUsageOID.CLIENT_AUTH)
    (folder / "another").mkdir()
    Authority(folder / "another").issue("client", ExtendedKeyUsageOID.CLIENT_AUTH)
    port = free_port()
    text = CONFIGURATION.format(host=HOST, port=port, folder=folder, key=API_KEY, address=temporal.address)
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
            "it refuses our certificate (CertificateRequired) -> check TEMPORAL_TLS_CLIENT_CERT_PATH",
        ),
        (
            {"TEMPORAL_TLS_CLIENT_CERT_PATH": "another", "TEMPORAL_TLS_CLIENT_KEY_PATH": "another"},
            "TLS",
        ),
        (
            {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": ""},
            "its certificate cannot be trusted (UnknownIssuer) -> check TEMPORAL_TLS_SERVER_CA_CERT_PATH",
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
    with pytest.raises(TemporalRefused) as refused:
        asyncio.run(asyncio.wait_for(connect(), 60))
    assert words in str(refused.value), refused.value.message
