"""A fake PostgreSQL server that accepts TLS connections, which the embedded PostgreSQL does not support.

Protocol: https://www.postgresql.org/docs/16/protocol-flow.html
"""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.support.time_limits import HANG_S

REACHED = "the fake server ends here"


class Authority:
    """A certificate authority for one test."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        self._usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)  # may sign certificates and CRLs
        self._certificate = self._sign(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0), self._usage)

    def write(self, path: Path) -> Path:
        """Write the certificate that clients must trust, and return its path."""
        path.write_bytes(self._certificate.public_bytes(Encoding.PEM))
        return path

    def issue(self, host: str, *, folder: Path) -> Path:
        """Write a server certificate with its key, and return the file's path."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(_named(host), key, x509.SubjectAlternativeName([x509.DNSName(host)]))
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = folder / f"{host}.pem"
        path.write_bytes(certificate.public_bytes(Encoding.PEM) + secret)
        return path

    def _sign(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(self._name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        # Python's default, strict verification, requires the key identifiers.
        identifiers = (
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
        )
        for extension in (*extensions, *identifiers):
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self._key, SHA256())


@contextmanager
def tls_postgres(authority: Authority, *, host: str, folder: Path) -> Iterator[int]:
    """Serve one client and yield the port. A client that trusts the authority receives the error `REACHED`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.issue(host, folder=folder))
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=_serve, args=(listener, context))
        thread.start()
        yield listener.getsockname()[1]
        thread.join(HANG_S)


def _serve(listener: socket.socket, context: ssl.SSLContext) -> None:
    plain, _ = listener.accept()
    with plain, suppress(OSError):  # a client that does not trust the authority disconnects
        assert plain.recv(8)[4:] == (80877103).to_bytes(4), "no SSLRequest"
        plain.sendall(b"S")
        with context.wrap_socket(plain, server_side=True) as encrypted:
            encrypted.recv(4096)
            fields = b"SFATAL\0C28000\0M" + REACHED.encode() + b"\0\0"
            encrypted.sendall(b"E" + (len(fields) + 4).to_bytes(4) + fields)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
