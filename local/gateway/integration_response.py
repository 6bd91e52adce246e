"""Parse a function's buffered response or the prelude of its stream, with API Gateway's checks."""

import base64
import binascii
import json
import re
from collections.abc import AsyncIterator, Iterable
from typing import Any

from local.gateway.errors import GatewayError, Reply
from local.gateway.event import is_binary

PRELUDE_TYPE = "application/vnd.awslambda.http-integration-response"
DELIMITER = bytes(8)
_PRELUDE_LIMIT_BYTES = 16_384
_BUFFERED_FIELDS = {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"}
_PRELUDE_FIELDS = {"statusCode", "headers", "multiValueHeaders", "cookies"}
_DROPPED_HEADERS = {"content-length", "transfer-encoding", "keep-alive", "te", "trailer", "upgrade", "expect", "x-amzn-requestid"}
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
_REMAPPED_HEADERS = {"authorization", "connection", "content-md5", "date", "server", "www-authenticate"}


def buffered_reply(payload: bytes, *, accept: str, binary_types: Iterable[str]) -> Reply:
    """Return the reply that a buffered proxy response describes. Raises `GatewayError` if the response is malformed."""
    fields = _json_object(payload, _BUFFERED_FIELDS)
    body = fields.get("body")
    if body is not None and not isinstance(body, str):
        raise _malformed("body is not a string")
    content = (body or "").encode()
    # API Gateway decodes base64 only if the first media type in Accept is a binary type.
    if fields.get("isBase64Encoded") is True and is_binary(accept.split(",")[0], binary_types):
        try:
            content = base64.b64decode(content, validate=True)
        except binascii.Error as error:
            raise _malformed("body is not base64") from error
    return Reply(_status(fields), _headers(fields), content)


async def stream_prelude(chunks: AsyncIterator[bytes]) -> tuple[Reply, bytes]:
    """Return the head of a streamed response and the beginning of its body. Raises `GatewayError` if there is no prelude."""
    read = b""
    async for chunk in chunks:
        read += chunk
        head, delimiter, rest = read.partition(DELIMITER)
        if delimiter and len(head) + len(DELIMITER) <= _PRELUDE_LIMIT_BYTES:
            fields = _json_object(head, _PRELUDE_FIELDS)
            cookies = [("Set-Cookie", str(cookie)) for cookie in fields.get("cookies") or []]
            return Reply(_status(fields), _headers(fields) + cookies), rest
        if len(read) > _PRELUDE_LIMIT_BYTES:
            break
    raise _malformed("the stream has no prelude and delimiter in its first 16 KB")


def _json_object(payload: bytes, allowed: set[str]) -> dict[str, Any]:
    try:
        fields = json.loads(payload)
    except ValueError as error:
        raise _malformed("it is not JSON") from error
    if not isinstance(fields, dict):
        raise _malformed("it is not an object")
    if unknown := fields.keys() - allowed:
        raise _malformed(f"unknown fields {sorted(unknown)}")
    return fields


def _status(fields: dict[str, Any]) -> int:
    try:
        status = int(fields["statusCode"])
    except (KeyError, TypeError, ValueError) as error:
        raise _malformed("statusCode is missing or not a number") from error
    if not 200 <= status <= 599:
        raise _malformed(f"statusCode is {status}")
    return status


def _headers(fields: dict[str, Any]) -> list[tuple[str, str]]:
    """Merge single-value and multi-value headers. If a name is in both, the multi-value header wins, as AWS documents."""
    single, multiple = fields.get("headers") or {}, fields.get("multiValueHeaders") or {}
    if not isinstance(single, dict) or not isinstance(multiple, dict):
        raise _malformed("headers are not an object")
    merged = {name: [value] for name, value in single.items()}
    named = {name.lower() for name in multiple}
    merged = {name: values for name, values in merged.items() if name.lower() not in named} | multiple
    pairs = [(_remapped_name(name), _header_value(name, value)) for name, values in merged.items() for value in _value_list(name, values)]
    forwarded = [(name, value) for name, value in pairs if name.lower() not in _DROPPED_HEADERS]
    has_type = any(name.lower() == "content-type" for name, _ in forwarded)
    return forwarded if has_type else [*forwarded, ("Content-Type", "application/json")]


def _remapped_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise _malformed(f"{name!r} is not a header name")
    return f"x-amzn-Remapped-{name}" if name.lower() in _REMAPPED_HEADERS else name


def _value_list(name: str, values: Any) -> list[Any]:
    if not isinstance(values, list):
        raise _malformed(f"multiValueHeaders.{name} is not a list")
    return values


def _header_value(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float) or "\r" in str(value) or "\n" in str(value):
        raise _malformed(f"the header {name} is not one line of text")
    return str(value)


def _malformed(reason: str) -> GatewayError:
    return GatewayError("INTEGRATION_FAILURE", reason=f"malformed Lambda proxy response: {reason}")
