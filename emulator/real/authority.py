"""A certificate authority of the local Scaleway's own, in the place of Let's Encrypt."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

YEARS = 10
"""How long the authority itself is valid."""

PEM = serialization.Encoding.PEM
PRIVATE = (PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
MOST_COMMON = 64
"""Characters that a common name can have (RFC 5280, ub-common-name)."""


class Authority:
    """One authority per folder: made at first use, then kept, so that whoever trusts it once trusts it after a restart.

    Args:
        folder: where its certificate and key are; made if absent.
    """

    def __init__(self, folder: Path) -> None:
        self.certificate_path = folder / "ca.pem"
        """What a client has to trust."""
        self._key_path = folder / "ca.key"
        folder.mkdir(parents=True, exist_ok=True)
        # The certificate is written last: where it is, the authority is whole.
        if not self.certificate_path.exists():
            self._found()
        self._certificate = x509.load_pem_x509_certificate(self.certificate_path.read_bytes())
        key = serialization.load_pem_private_key(self._key_path.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key

    def issue(self, names: Sequence[str], start: datetime.datetime, end: datetime.datetime) -> tuple[str, str]:
        """Certify names.

        Args:
            names: every DNS name; the first is the common name.
            start: first moment of validity.
            end: last moment of validity.

        Returns:
            The chain with its private key in PEM, and the fingerprint (SHA-1, hexadecimal).
        """
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = (
            _builder(names[0], self._certificate.subject, key.public_key(), start, end)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        chain = key.private_bytes(*PRIVATE) + leaf.public_bytes(PEM) + self._certificate.public_bytes(PEM)
        return chain.decode(), leaf.fingerprint(hashes.SHA1()).hex()

    def _found(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Local Scaleway")])
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            _builder("Local Scaleway", name, key.public_key(), start, start + datetime.timedelta(days=365 * YEARS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        self._key_path.touch(mode=0o600)
        self._key_path.write_bytes(key.private_bytes(*PRIVATE))
        whole = self.certificate_path.with_suffix(".new")
        whole.write_bytes(certificate.public_bytes(PEM))
        whole.replace(self.certificate_path)


def _builder(
    common_name: str,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    start: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    # A name that is too long for a subject stands among the alternative names alone.
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if len(common_name) <= MOST_COMMON else []
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
