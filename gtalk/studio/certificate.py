"""A certificate that this machine makes for itself, so that a phone's browser gives the camera to its page."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import socket
import ssl
from contextlib import suppress
from pathlib import Path

from gtalk.errors import UserError
from gtalk.files import atomic_path

_DAYS = 365
_CERTIFICATE, _KEY = "certificate.pem", "key.pem"


def own_certificate(folder: Path, host: str) -> tuple[Path, Path, str]:
    """(certificate, key, SHA-256 fingerprint) for `host`; kept in `folder`, since a phone remembers what it was shown.

    Raises UserError where the package that makes it is not installed.
    """
    paths = folder / host.replace(":", "_") / _CERTIFICATE, folder / host.replace(":", "_") / _KEY
    if not (all(path.exists() for path in paths) and _is_valid(paths[0])):
        _make(*paths, host)
    der = ssl.PEM_cert_to_DER_cert(paths[0].read_text(encoding="ascii"))
    return *paths, fingerprint(der)


def fingerprint(der: bytes) -> str:
    """As browsers show it."""
    return ":".join(f"{byte:02X}" for byte in hashlib.sha256(der).digest())


def address_here() -> str:
    """Where others in the network reach this machine: as its way out has it; loopback where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # kept for documentation (RFC 5737); nothing is sent
        return probe.getsockname()[0]
    return "127.0.0.1"


def _make(certificate: Path, key: Path, host: str) -> None:
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError as error:
        raise UserError("a phone as the camera", expected="the package cryptography", got="none",
                        remedy="pip install 'gtalk[studio]'") from error  # fmt: skip
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gtalk studio")])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    with suppress(ValueError):
        names.append(x509.IPAddress(ipaddress.ip_address(host)))
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )  # fmt: skip
    with atomic_path(key) as temporary:
        temporary.touch(0o600)
        temporary.write_bytes(private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ))  # fmt: skip
    key.chmod(0o600)
    with atomic_path(certificate) as temporary:
        temporary.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def _is_valid(certificate: Path) -> bool:
    """Whether it can still be used for a week."""
    from cryptography import x509

    with suppress(ValueError, OSError):
        until = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
        return until > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=7)
    return False
