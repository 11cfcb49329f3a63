"""The program: over TLS to an address of choice, stopped by a signal, with its report and exit code."""

from __future__ import annotations

import asyncio
import datetime
import signal
import ssl
import sys
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from probe import Report
from probe.__main__ import READY, parse
from probe.load import Kind
from tests.probe.service import Service

NAME = "api.example.test"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the name that is its own authority, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "own.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def run(
    service: Service, certificate: Path, *arguments: str, end: signal.Signals | None = None
) -> tuple[int, str, set[str | None]]:
    """Run it against the service; exit code, output, and the server names that it asked for in TLS.

    Args:
        service: against this.
        certificate: of the service.
        arguments: besides the URL and the address.
        end: signal to send once it says that the load is on.
    """

    async def live() -> tuple[int, str, set[str | None]]:
        names: set[str | None] = set()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        tls.sni_callback = lambda _socket, name, _context: names.add(name)
        async with service.serve(tls):
            program = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "probe", "--url", f"https://{NAME}", "--rate", "100", "--sockets", "5"),
                *("--slow", "0.1", "--connect", f"127.0.0.1:{service.port}", *arguments),
                stdout=asyncio.subprocess.PIPE,
            )
            assert program.stdout
            told = ""
            async with asyncio.timeout(30):
                if end:
                    while READY not in told:
                        line = await program.stdout.readline()
                        assert line, told
                        told += line.decode()
                    program.send_signal(end)
                told += (await program.stdout.read()).decode()
                return await program.wait(), told, names

    return asyncio.run(live())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_report(certificate: Path, tmp_path: Path, number: signal.Signals) -> None:
    """The service is reached at the address, by its name; all goes well, and the program says so."""
    service = Service()
    file = tmp_path / "report.json"
    code, told, names = run(
        service, certificate, "--ca", str(certificate), "--duration", "600", "--report", str(file), end=number
    )
    report = Report.read(file)
    assert (code, report.failures) == (0, {})
    assert "nothing failed" in told
    assert names == {NAME}
    assert service.hosts == {NAME}
    assert report.sockets.opened == 5
    assert report.seconds < 600
    # The five sockets are requests too.
    assert report.requests.sent + 5 == service.asked.total()
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_failures_are_its_exit_code(certificate: Path) -> None:
    """One is enough."""
    asked = 0

    async def trouble(_request: web.Request) -> web.Response | None:
        nonlocal asked
        asked += 1
        return web.Response(status=502) if asked == 20 else None

    code, told, _ = run(
        Service(trouble), certificate, "--ca", str(certificate), "--duration", "0.5", "--mix", "get=1", "--sockets", "0"
    )
    assert code == 1
    assert "1 failed: 1 502" in told


def test_an_authority_that_is_not_trusted(certificate: Path) -> None:
    """TLS errors have their name."""
    code, told, _ = run(Service(), certificate, "--duration", "0.2", "--mix", "fresh=1", "--sockets", "0")
    assert code == 1
    assert "TLS" in told


def test_options() -> None:
    """What is not told is as `Load` says."""
    load, report = parse(["--url", "https://a.test", "--url", "https://b.test:8443/", "--mix", "get=3,post=1"])
    assert load.urls == ("https://a.test", "https://b.test:8443/")
    assert load.mix == {Kind.GET: 3, Kind.POST: 1}
    assert (load.rate, load.sockets, load.duration, load.connect, load.ca, report) == (500, 200, 60, None, None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["--url", "ftp://a.test"],
        ["--url", "https://a.test/path"],
        ["--url", "https://a.test", "--rate", "-1"],
        ["--url", "https://a.test", "--rate", "nan"],
        ["--url", "https://a.test", "--sockets", "-1"],
        ["--url", "https://a.test", "--visitors", "0"],
        ["--url", "https://a.test", "--mix", "get=1,job=1"],
        ["--url", "https://a.test", "--mix", "other=1"],
        ["--url", "https://127.0.0.1", "--connect", "127.0.0.2"],
    ],
)
def test_wrong_options_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With the command line's exit code."""
    with pytest.raises(SystemExit) as raised:
        parse(wrong)
    assert raised.value.code == 2
    assert "error: " in capsys.readouterr().err
