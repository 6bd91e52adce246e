"""The supported revisions of MCP, and what each request must say about itself; a test compares them with the official package.

The older revisions begin with `initialize`; the modern ones repeat version and capabilities in each request, in its headers
and in its body, which must agree. No state is kept between requests. https://modelcontextprotocol.io/specification
"""

import base64
import binascii
import re
from collections.abc import Mapping

from functions.tools.mcp_endpoint.jsonrpc import HEADER_MISMATCH, INVALID_PARAMS, UNSUPPORTED_VERSION, RpcError, RpcMessage

HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")


MODERN_VERSIONS = ("2026-07-28",)


SUPPORTED_VERSIONS = HANDSHAKE_VERSIONS + MODERN_VERSIONS


def negotiate(wanted: object) -> str:
    """Return the revision to answer `initialize` with: the one that is wanted, or else the newest there is for it."""
    return wanted if isinstance(wanted, str) and wanted in HANDSHAKE_VERSIONS else HANDSHAKE_VERSIONS[-1]


VERSION_HEADER, METHOD_HEADER, NAME_HEADER = "mcp-protocol-version", "mcp-method", "mcp-name"


VERSION_KEY, CAPABILITIES_KEY = "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"


_BASE64 = re.compile(r"=\?base64\?(.*)\?=")


def check_version(headers: Mapping[str, str]) -> None:
    """Raise RpcError where the header names a revision that is not spoken here; who names none speaks an older one."""
    version = headers.get(VERSION_HEADER)
    if version is not None and version not in SUPPORTED_VERSIONS:
        message = "This revision of MCP is not spoken here."
        raise RpcError(UNSUPPORTED_VERSION, message, status=400, supported=list(SUPPORTED_VERSIONS), requested=version[:100])


def check_envelope(message: RpcMessage, headers: Mapping[str, str]) -> None:
    """Raise RpcError unless the body says what a modern request must, and the headers repeat it."""
    missing = [key for key in (VERSION_KEY, CAPABILITIES_KEY) if key not in message.meta]
    if missing:
        raise RpcError(INVALID_PARAMS, f"params._meta lacks {', '.join(missing)}", status=400)
    expected = {VERSION_HEADER: message.meta[VERSION_KEY], METHOD_HEADER: message.method}
    if message.method == "tools/call" and (name := (message.params or {}).get("name")) is not None:
        expected[NAME_HEADER] = name
    for header, value in expected.items():
        if _decode_header(headers.get(header)) != value:
            raise RpcError(HEADER_MISMATCH, f"the header {header} does not say what the body does", status=400)


def _decode_header(value: str | None) -> str | None:
    """Read a header's value, which is written in base64 where it is not plain ASCII."""
    found = _BASE64.fullmatch(value or "")
    if found is None:
        return value
    try:
        decoded = base64.b64decode(found[1], validate=True)
        # Of several spellings of one value, only the proper one counts.
        return decoded.decode() if base64.b64encode(decoded).decode() == found[1] else None
    except (binascii.Error, UnicodeDecodeError):
        return None
