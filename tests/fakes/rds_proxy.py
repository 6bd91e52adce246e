"""A fake of RDS Proxy in front of a real PostgreSQL: TLS, a password in clear text inside of it, and relayed sessions.

The embedded PostgreSQL has no TLS, and no PostgreSQL outside AWS verifies IAM tokens, so this server does both. Protocol:
https://www.postgresql.org/docs/16/protocol-flow.html, tokens: a presigned URL without its scheme, as `generate_db_auth_token` makes.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.fakes.tls_postgres import Authority

# (user, password) -> whether the proxy admits the client.
type Check = Callable[[str, str], bool]

_SSL_REQUEST = (80877103).to_bytes(4)
_REPORTED = ("server_version", "client_encoding", "standard_conforming_strings", "integer_datetimes", "DateStyle", "TimeZone")


class IamTokens:
    """Checks tokens as RDS does: signed for this address and user, by this key, at most 15 minutes ago."""

    def __init__(self, credentials: Credentials, *, region: str, host: str) -> None:
        self._credentials, self._region, self._host = credentials, region, host
        self.port = 0

    def __call__(self, user: str, token: str) -> bool:
        url = urlsplit(f"https://{token}")
        sent = {name: values[0] for name, values in parse_qs(url.query).items()}
        if (url.hostname, url.port) != (self._host, self.port) or (sent.get("Action"), sent.get("DBUser")) != ("connect", user):
            return False
        signed_at = datetime.strptime(sent["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        lifetime = timedelta(seconds=int(sent["X-Amz-Expires"]))
        is_fresh = lifetime <= timedelta(minutes=15) and datetime.now(UTC) < signed_at + lifetime
        return is_fresh and sent["X-Amz-Signature"] == self._signature(user, sent["X-Amz-Date"])

    def _signature(self, user: str, date: str) -> str:
        signer = SigV4QueryAuth(self._credentials, "rds-db", self._region, expires=900)
        request = AWSRequest("GET", f"https://{self._host}:{self.port}/?Action=connect&DBUser={user}")
        request.context["timestamp"] = date
        signer._modify_request_before_signing(request)
        return str(signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request))


class RdsProxy:
    """Serves clients until the end of the block; `refused` counts logins that the check did not admit."""

    def __init__(self, check: Check, *, upstream: Callable[[str], psycopg.Connection], certificate: Path) -> None:
        self._check, self._upstream = check, upstream
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.refused = 0

    def serve(self) -> None:
        with suppress(OSError):  # closing the listener ends the loop
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._session, args=(client,), daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _session(self, plain: socket.socket) -> None:
        with plain, suppress(OSError):
            if plain.recv(8)[4:] != _SSL_REQUEST:
                plain.sendall(_error("28000", "RDS Proxy requires TLS"))
                return
            plain.sendall(b"S")
            with self._context.wrap_socket(plain, server_side=True) as client:
                self._serve_client(client)

    def _serve_client(self, client: ssl.SSLSocket) -> None:
        words = _read(client, int.from_bytes(_read(client, 4)) - 4)[4:].split(b"\0")
        user = dict(zip(words[::2], words[1::2], strict=False))[b"user"].decode()
        client.sendall(_message(b"R", (3).to_bytes(4)))  # AuthenticationCleartextPassword
        _read(client, 1)
        password = _read(client, int.from_bytes(_read(client, 4)) - 4).rstrip(b"\0").decode()
        if not self._check(user, password):
            self.refused += 1
            client.sendall(_error("28P01", f'password authentication failed for user "{user}"'))
            return
        with closing(self._upstream(user)) as server:
            reports = [(name, server.info.parameter_status(name) or "") for name in _REPORTED]
            parameters = b"".join(_message(b"S", f"{name}\0{value}\0".encode()) for name, value in reports)
            client.sendall(_message(b"R", bytes(4)) + parameters + _message(b"Z", b"I"))
            _relay(client, server)


def _relay(client: ssl.SSLSocket, server: psycopg.Connection) -> None:
    with socket.socket(fileno=socket.dup(server.fileno())) as upstream:
        upstream.setblocking(True)
        back = threading.Thread(target=_copy, args=(upstream, client), daemon=True)
        back.start()
        _copy(client, upstream)
        with suppress(OSError):
            upstream.shutdown(socket.SHUT_RDWR)
        back.join(5)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)


def _read(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        if not (part := source.recv(count - len(data))):
            raise ConnectionResetError
        data += part
    return data


def _message(kind: bytes, content: bytes) -> bytes:
    return kind + (len(content) + 4).to_bytes(4) + content


def _error(code: str, text: str) -> bytes:
    return _message(b"E", f"SFATAL\0C{code}\0M{text}\0\0".encode())


@contextmanager
def rds_proxy(check: Check, *, upstream: Callable[[str], psycopg.Connection], authority: Authority, folder: Path) -> Iterator[RdsProxy]:
    """Run a proxy for the host name `localhost`, certified by `authority`."""
    proxy = RdsProxy(check, upstream=upstream, certificate=authority.issue("localhost", folder=folder))
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join(5)
