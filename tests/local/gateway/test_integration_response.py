"""API Gateway's handling of functions' responses."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.gateway import integration_response
from local.gateway.errors import GatewayError, Reply


def whole(fields: Any, *, accept: str = "*/*", binary: tuple[str, ...] = ()) -> Reply:
    return integration_response.buffered_reply(json.dumps(fields).encode(), accept=accept, binary_types=binary)


def test_headers_of_both_kinds_are_sent() -> None:
    fields = {"headers": {"A": "1", "B": "lost"}, "multiValueHeaders": {"b": ["2", "3"]}, "statusCode": "201", "body": "hi"}
    reply = whole(fields)

    assert (reply.status, reply.body) == (201, b"hi")
    assert reply.headers == [("A", "1"), ("b", "2"), ("b", "3"), ("Content-Type", "application/json")]


def test_headers_that_the_gateway_owns_are_renamed_or_dropped() -> None:
    reply = whole({"statusCode": 200, "headers": {"Content-Length": "7", "WWW-Authenticate": "Bearer", "Content-Type": "text/plain"}})

    assert reply.headers == [("x-amzn-Remapped-WWW-Authenticate", "Bearer"), ("Content-Type", "text/plain")]


def test_base64_is_decoded_only_for_a_client_that_accepts_a_binary_type() -> None:
    fields = {"statusCode": 200, "isBase64Encoded": True, "body": base64.b64encode(b"\xff\x00").decode()}

    assert whole(fields, accept="image/png, */*", binary=("image/*",)).body == b"\xff\x00"
    assert whole(fields, accept="*/*", binary=("image/*",)).body == b"/wA="


@pytest.mark.parametrize(
    "fields",
    [
        None,
        [],
        "text",
        {},
        {"statusCode": "ok"},
        {"statusCode": 42},
        {"statusCode": 200, "body": {"not": "text"}},
        {"statusCode": 200, "unknown": 1},
        {"statusCode": 200, "headers": ["a"]},
        {"statusCode": 200, "headers": {"a": {"b": 1}}},
        {"statusCode": 200, "headers": {"a": "1\r\nX-Injected: 1"}},
        {"statusCode": 200, "headers": {"a b": "1"}},
        {"statusCode": 200, "multiValueHeaders": {"a": "1"}},
    ],
)
def test_a_malformed_answer_is_the_integrations_failure(fields: Any) -> None:
    with pytest.raises(GatewayError, match="INTEGRATION_FAILURE: malformed"):
        whole(fields)


async def chunked(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def prelude(*chunks: bytes) -> tuple[Reply, bytes]:
    return asyncio.run(integration_response.stream_prelude(chunked(*chunks)))


def test_a_prelude_may_come_in_pieces() -> None:
    reply, rest = prelude(b'{"statusCode": 20', b'1, "cookies": ["a=1"]}\0\0\0\0', b"\0\0\0\0body")

    assert (reply.status, rest) == (201, b"body")
    assert ("Set-Cookie", "a=1") in reply.headers


@pytest.mark.parametrize(
    "chunks",
    [
        (b"",),
        (b'{"statusCode": 200}',),
        (b"x" * 17_000,),
        (b'{"statusCode": 200}' + b" " * 17_000 + bytes(8),),
        (b"no json" + bytes(8),),
        (b"{}" + bytes(8),),
    ],
)
def test_a_stream_without_a_prelude_in_its_first_16_kb_is_refused(chunks: tuple[bytes, ...]) -> None:
    with pytest.raises(GatewayError, match="INTEGRATION_FAILURE"):
        prelude(*chunks)
