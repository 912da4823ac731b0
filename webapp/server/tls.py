"""HTTPS by one flag: a certificate for this machine's own addresses, made where there is none.

Browsers open cameras on ``localhost`` and over HTTPS only. On a LAN nobody signs a certificate, so
Mien makes one and says its fingerprint, which a visitor can compare with what the browser shows.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from webapp.errors import SettingsError
from webapp.files import atomic
from webapp.settings import Settings

VALID_DAYS = 397  # the longest that browsers take
RENEW_DAYS = 30
CERTIFICATE, KEY = "certificate.pem", "key.pem"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Tls:
    """What a server needs to speak TLS; ``own`` says that we signed the certificate ourselves."""

    certificate: Path
    key: Path
    own: bool

    def context(self) -> ssl.SSLContext:
        """A server's context. The handshake is left to the first read of a connection.

        Done while accepting, one silent client would keep everybody else from connecting.
        Raises :class:`SettingsError` for files that cannot be used.
        """
        context = _LateHandshake(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"Expected a PEM certificate in {self.certificate} and its key in {self.key}. "
                f"Received: {error}."
            ) from error
        return context

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate as browsers show it: ``AB:CD:...``."""
        certificate = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


class _LateHandshake(ssl.SSLContext):
    def wrap_socket(  # type: ignore[override]
        self, sock: socket.socket, *args: object, **options: object
    ) -> ssl.SSLSocket:
        options["do_handshake_on_connect"] = False
        return super().wrap_socket(sock, *args, **options)  # type: ignore[arg-type]


def tls_of(settings: Settings) -> Tls | None:
    """The TLS of a server with these settings, or None for plain HTTP.

    Raises :class:`SettingsError` where only one of certificate and key is named.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if bool(certificate) != bool(key):
        raise SettingsError("Expected MIEN_TLS_CERTIFICATE and MIEN_TLS_KEY together.")
    if certificate:
        return Tls(Path(certificate), Path(key), own=False)
    if not settings.https:
        return None
    return own_certificate(settings.instance_path / "tls", settings.host)


def own_certificate(folder: Path, host: str) -> Tls:
    """The certificate in ``folder``; made anew where it is missing, old or for other addresses."""
    made = Tls(folder / CERTIFICATE, folder / KEY, own=True)
    names, addresses = our_names(host), our_addresses(host)
    if not _serves(made, names, addresses):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        certificate = _sign(key, names, addresses)
        atomic.write(made.key, pem, private=True)
        atomic.write(
            made.certificate,
            certificate.public_bytes(serialization.Encoding.PEM),
            private=True,
        )
    return made


def our_names(host: str) -> set[str]:
    """Host names a visitor may type for this machine."""
    own = socket.gethostname()
    names = {"localhost", own, f"{own.split('.')[0]}.local"}
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        host = ""
    return {name for name in (*names, host) if name and name.isascii()}


def our_addresses(host: str) -> set[Address]:
    """The addresses of this machine's interfaces and, where it is one, ``host``."""
    texts = [host, "127.0.0.1", "::1"]
    for rows in psutil.net_if_addrs().values():
        texts += [row.address for row in rows if row.family in (socket.AF_INET, socket.AF_INET6)]
    found: set[Address] = set()
    for text in texts:
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(text.partition("%")[0])
            if not address.is_unspecified:
                found.add(address)
    return found


def lan_addresses() -> list[str]:
    """The IPv4 addresses under which others in the network reach this machine."""
    usual = [a for a in our_addresses("") if a.version == 4 and not a.is_loopback]
    return [str(address) for address in sorted(usual, key=int) if not address.is_link_local]


def _sign(
    key: ec.EllipticCurvePrivateKey, names: set[str], addresses: set[Address]
) -> x509.Certificate:
    now = datetime.now(timezone.utc)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Mien on this network")])
    alternatives: list[x509.GeneralName] = [x509.DNSName(text) for text in sorted(names)]
    alternatives += [x509.IPAddress(address) for address in sorted(addresses, key=str)]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks of visitors differ
        .not_valid_after(now + timedelta(days=VALID_DAYS - 1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _serves(made: Tls, names: set[str], addresses: set[Address]) -> bool:
    """Whether the files are there, belong together, and cover today and all our addresses."""
    try:
        certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
        made.context()
        alternatives = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value
    except (OSError, ValueError, SettingsError, x509.ExtensionNotFound):
        return False
    soon = datetime.now(timezone.utc) + timedelta(days=RENEW_DAYS)
    return (
        certificate.not_valid_after_utc > soon
        and names <= set(alternatives.get_values_for_type(x509.DNSName))
        and addresses <= set(alternatives.get_values_for_type(x509.IPAddress))
    )
