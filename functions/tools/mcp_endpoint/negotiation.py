"""The supported revisions of MCP, and the version data that each request must carry. A test compares both with the official SDK.

Clients of the older revisions begin with `initialize`. Clients of the modern revisions state version and capabilities in the
body of each request, and repeat the version and the method in headers. The server keeps no state between requests.
https://modelcontextprotocol.io/specification
"""

import base64
import binascii
import re
from collections.abc import Mapping

from functions.tools.mcp_endpoint.jsonrpc import HEADER_MISMATCH, INVALID_PARAMS, UNSUPPORTED_VERSION, RpcError, RpcMessage

HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN_VERSIONS = ("2026-07-28",)
SUPPORTED_VERSIONS = HANDSHAKE_VERSIONS + MODERN_VERSIONS

VERSION_HEADER, METHOD_HEADER, NAME_HEADER = "mcp-protocol-version", "mcp-method", "mcp-name"
VERSION_KEY, CAPABILITIES_KEY = "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"
# The methods whose header repeats what they are about, and the field that names it.
_NAMED_BY = {"tools/call": "name", "resources/read": "uri", "prompts/get": "name"}
_BASE64 = re.compile(r"=\?base64\?(.*)\?=")


def negotiate(requested: object) -> str:
    """Return the revision for the response to `initialize`: the requested revision if possible, else the newest with a handshake."""
    return requested if isinstance(requested, str) and requested in HANDSHAKE_VERSIONS else HANDSHAKE_VERSIONS[-1]


def check_version(headers: Mapping[str, str]) -> None:
    """Raise RpcError if the header names an unsupported revision. A missing header means an older revision."""
    version = headers.get(VERSION_HEADER)
    if version is not None and version not in SUPPORTED_VERSIONS:
        message = "Unsupported MCP revision. Use one of the supported ones."
        raise RpcError(UNSUPPORTED_VERSION, message, status=400, supported=list(SUPPORTED_VERSIONS), requested=version[:100])


def check_envelope(message: RpcMessage, headers: Mapping[str, str]) -> None:
    """Raise RpcError unless a modern request has the required `_meta` fields and headers that repeat the body."""
    missing = [key for key in (VERSION_KEY, CAPABILITIES_KEY) if key not in message.meta]
    if missing:
        raise RpcError(INVALID_PARAMS, f"params._meta lacks {', '.join(missing)}", status=400)
    expected = {VERSION_HEADER: message.meta[VERSION_KEY], METHOD_HEADER: message.method}
    field = _NAMED_BY.get(message.method or "")
    if field and (name := (message.params or {}).get(field)) is not None:
        expected[NAME_HEADER] = name
    for header, value in expected.items():
        if _decode_header(headers.get(header)) != value:
            raise RpcError(HEADER_MISMATCH, f"the header {header} does not match the body", status=400)


def _decode_header(value: str | None) -> str | None:
    """Decode a header value, which is in base64 if it is not plain ASCII. Return None if the base64 is invalid or not canonical."""
    encoded = _BASE64.fullmatch(value or "")
    if encoded is None:
        return value
    try:
        decoded = base64.b64decode(encoded[1], validate=True)
        # Base64 can spell the same value in several ways; accept only the canonical one.
        return decoded.decode() if base64.b64encode(decoded).decode() == encoded[1] else None
    except (binascii.Error, UnicodeDecodeError):
        return None
