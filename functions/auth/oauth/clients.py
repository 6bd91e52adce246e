"""OAuth clients: programs that ask a user for access to `/mcp`. All are public clients, without a secret.

A client identifies itself in one of two ways. Its id is the `https` address of a document that describes it (OAuth Client ID Metadata
Document), which the tool runner fetches, because that function reaches the internet and has neither secrets nor a database. Or it has
registered itself (RFC 7591): its id then contains its description, signed by this server, so that a registration stores nothing.
"""

import base64
import binascii
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import ConfigDict, Field, ValidationError

from functions.auth.oauth.errors import OAuthError
from parley.aws.functions import function_client, invoke_function
from parley.http.schemas import Input

REGISTERED_PREFIX = "pcl_"
MAX_REGISTERED_LENGTH = 2000
MAX_DOCUMENT_URL = 500
FETCH_TIMEOUT_S = 5.0
CACHE_S = 300.0
_MAX_CACHED = 200
_MAC_BYTES = 16
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Schemes of desktop applications. Others must look like a reversed domain name (RFC 8252, 7.1), which no browser runs as a script.
_APP_SCHEMES = ("cursor", "vscode", "vscode-insiders", "windsurf", "zed")

RedirectUri = Annotated[str, Field(min_length=1, max_length=500)]


class ClientMetadata(Input):
    """A client's description of itself (RFC 7591, 2). Fields that this server does not use are ignored."""

    model_config = ConfigDict(extra="ignore")

    client_name: Annotated[str, Field(max_length=100)] | None = None
    redirect_uris: Annotated[list[RedirectUri], Field(min_length=1, max_length=10, examples=[["http://127.0.0.1/callback"]])]


class _ClientDocument(ClientMetadata):
    client_id: str


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A client. `host` is the host that publishes its document.

    A client that registered itself has no host, and its name proves nothing.
    """

    id: str
    name: str
    redirect_uris: tuple[str, ...]
    host: str | None = None

    def allows(self, redirect_uri: str) -> bool:
        """Return whether the client may receive codes at this address, which must equal an address of the client.

        A loopback address may have another port, because a program on the user's computer does not know its port in advance (RFC 8252,
        7.3).
        """
        loopback = _without_port(redirect_uri)
        return redirect_uri in self.redirect_uris or (loopback is not None and loopback in map(_without_port, self.redirect_uris))


@dataclass(frozen=True)
class ClientDirectory:
    """Finds clients by their ids. The tool runner, a Lambda function, fetches documents; each worker caches them for five minutes."""

    toolrunner_function: str
    _cache: dict[str, tuple[float, OAuthClient]] = field(default_factory=dict)

    def find(self, client_id: str, *, secret: bytes, count_fetch: Callable[[], None]) -> OAuthClient:
        """Return the client with this id. Raises OAuthError if there is none, and Unavailable.

        `count_fetch` is called before a document is fetched. It may raise an error, and then no document is fetched.
        """
        if client_id.startswith(REGISTERED_PREFIX):
            return _read_registration(client_id, secret)
        expires_at, client = self._cache.get(client_id, (0.0, None))
        if client is None or time.monotonic() >= expires_at:
            client = self._fetch(client_id, count_fetch)
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()
            self._cache[client_id] = (time.monotonic() + CACHE_S, client)
        return client

    def _fetch(self, client_id: str, count_fetch: Callable[[], None]) -> OAuthClient:
        host = _document_host(client_id)
        count_fetch()
        request = {"op": "fetch_json", "url": client_id, "timeout_s": FETCH_TIMEOUT_S}
        found = invoke_function(self._lambda, self.toolrunner_function, request)
        # The address as it was requested: another spelling of the same address is another client_id.
        if found.get("status") != 200 or found.get("url") != client_id:
            raise OAuthError("invalid_client", "The application's description cannot be fetched.", evidence=str(found.get("error")))
        try:
            document = _ClientDocument.model_validate(found.get("document"))
        except ValidationError as exc:
            raise OAuthError(
                "invalid_client", "The application's description is not valid.", evidence=f"{exc.error_count()} errors"
            ) from exc
        if document.client_id != client_id:
            raise OAuthError("invalid_client", "The application's description names another client_id.")
        return OAuthClient(client_id, _display_name(document.client_name, host), _checked_uris(document.redirect_uris), host)

    @cached_property
    def _lambda(self) -> Any:
        return function_client(read_timeout_s=2 * FETCH_TIMEOUT_S, max_connections=1)


def register(metadata: ClientMetadata, *, secret: bytes) -> OAuthClient:
    """Return a new client with these properties. Raises OAuthError if an address is not allowed or the description is too long."""
    client = OAuthClient("", _display_name(metadata.client_name, "An application"), _checked_uris(metadata.redirect_uris))
    payload = json.dumps([client.name, *client.redirect_uris], ensure_ascii=False, separators=(",", ":")).encode()
    id = REGISTERED_PREFIX + base64.urlsafe_b64encode(_mac(payload, secret) + payload).decode()
    if len(id) > MAX_REGISTERED_LENGTH:
        raise OAuthError("invalid_client_metadata", "The description is too long. Register fewer or shorter addresses.")
    return replace(client, id=id)


def redirect_host(redirect_uri: str) -> tuple[str, bool]:
    """Return the host or scheme to which the user is sent back, and whether that is a program on the user's computer."""
    parts = urlsplit(redirect_uri)
    if parts.scheme in ("http", "https"):
        return parts.hostname or "", parts.hostname in _LOOPBACK
    return f"{parts.scheme}:", True


def is_loopback(uri: str) -> bool:
    """Return whether this is an http address of a program on the user's computer."""
    return _without_port(uri) is not None


def _read_registration(client_id: str, secret: bytes) -> OAuthClient:
    try:
        raw = base64.b64decode(client_id.removeprefix(REGISTERED_PREFIX), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise OAuthError("invalid_client", "This client_id is unknown. Register again.") from exc
    mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(payload, secret)):
        raise OAuthError("invalid_client", "This client_id is unknown. Register again.")
    name, *redirect_uris = json.loads(payload)
    return OAuthClient(client_id, name, tuple(redirect_uris))


def _mac(payload: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, b"oauth client " + payload, "sha256")[:_MAC_BYTES]


def _document_host(client_id: str) -> str:
    """Return the host of a document's address, or raise OAuthError if the draft does not allow the address (section 3)."""
    parts = _split(client_id)
    segments = parts.path.split("/")
    is_plain = parts.scheme == "https" and parts.hostname and "@" not in parts.netloc and "#" not in client_id
    if not is_plain or parts.path in ("", "/") or {".", ".."} & set(segments) or len(client_id) > MAX_DOCUMENT_URL:
        raise OAuthError("invalid_client", "client_id is neither registered here nor the https address of a description.")
    return str(parts.hostname)


def _checked_uris(redirect_uris: list[str]) -> tuple[str, ...]:
    """Return the addresses, or raise OAuthError if one is neither https, nor on the user's computer, nor of an application's scheme."""
    for uri in redirect_uris:
        parts = _split(uri)
        is_web = bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK))
        is_app = "." in parts.scheme or parts.scheme in _APP_SCHEMES
        if not (is_web or is_app) or not _is_clean(uri, parts):
            raise OAuthError("invalid_redirect_uri", "A redirect URI must be https, on a loopback address, or of an application's scheme.")
    return tuple(redirect_uris)


def _without_port(uri: str) -> tuple[str, str | None, str, str] | None:
    """Return the parts that two loopback addresses must share, or None for any other address."""
    parts = _split(uri)
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK or not _is_clean(uri, parts):
        return None
    return parts.scheme, parts.hostname, parts.path, parts.query


def _is_clean(uri: str, parts: SplitResult) -> bool:
    """Return whether an address has neither a fragment, a user name, nor characters that parsers treat differently."""
    return uri.isascii() and uri.isprintable() and not {" ", "#", "\\"} & set(uri) and "@" not in parts.netloc


def _display_name(name: str | None, default: str) -> str:
    """Return the name without control characters, which could reorder the text around it."""
    return "".join(letter for letter in name or "" if letter.isprintable()).strip() or default


def _split(url: str) -> SplitResult:
    """Split an address. A malformed one has no parts, which no check accepts."""
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts
