"""What a modern request says about itself, in its headers and in its body, which must agree."""

import base64
import binascii
import re
from collections.abc import Mapping

from functions.tools.protocol.messages import HEADER_MISMATCH, INVALID_PARAMS, UNSUPPORTED_VERSION, RpcError, RpcMessage
from functions.tools.protocol.versions import SUPPORTED

VERSION_HEADER, METHOD_HEADER, NAME_HEADER = "mcp-protocol-version", "mcp-method", "mcp-name"
VERSION_KEY, CAPABILITIES_KEY = "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"
_BASE64 = re.compile(r"=\?base64\?(.*)\?=")


def check_version(headers: Mapping[str, str]) -> None:
    """Raise RpcError where the header names a revision that is not spoken here; who names none speaks an older one."""
    version = headers.get(VERSION_HEADER)
    if version is not None and version not in SUPPORTED:
        message = "This revision of MCP is not spoken here."
        raise RpcError(UNSUPPORTED_VERSION, message, status=400, supported=list(SUPPORTED), requested=version[:100])


def check_envelope(message: RpcMessage, headers: Mapping[str, str]) -> None:
    """Raise RpcError unless the body says what a modern request must, and the headers repeat it."""
    missing = [key for key in (VERSION_KEY, CAPABILITIES_KEY) if key not in message.meta]
    if missing:
        raise RpcError(INVALID_PARAMS, f"params._meta lacks {', '.join(missing)}", status=400)
    said = {VERSION_HEADER: message.meta[VERSION_KEY], METHOD_HEADER: message.method}
    if message.method == "tools/call" and (name := (message.params or {}).get("name")) is not None:
        said[NAME_HEADER] = name
    for header, value in said.items():
        if _plain(headers.get(header)) != value:
            raise RpcError(HEADER_MISMATCH, f"the header {header} does not say what the body does", status=400)


def _plain(value: str | None) -> str | None:
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
