"""The gateway's own error responses."""

import json

import pytest

from local.gateway.errors import ErrorResponses, GatewayError
from local.gateway.request import GatewayRequest
from local.template.stack import GatewayResponse

EXCHANGE = GatewayRequest(
    method="GET", path="/a", query=[], headers=[("Origin", "http://x")], peer="192.0.2.1", protocol="HTTP/1.1", port=1
)
WORDED = GatewayResponse(
    418,
    {"X-Fixed": "'text'", "X-Id": "context.requestId", "X-Echo": "method.request.header.origin"},
    '{"m":$context.error.messageString,"t":"$context.error.responseType","p":"$context.path","i":"$context.requestId"}',
)


def test_the_templates_words_are_filled_in() -> None:
    reply = ErrorResponses({"THROTTLED": WORDED}, stage="prod").reply(GatewayError("THROTTLED", message='say "hi"'), EXCHANGE)

    assert reply.status == 418
    assert json.loads(reply.body) == {"m": 'say "hi"', "t": "THROTTLED", "p": "/prod/a", "i": EXCHANGE.request_id}
    assert {("X-Fixed", "text"), ("X-Id", EXCHANGE.request_id), ("X-Echo", "http://x")} <= set(reply.headers)


@pytest.mark.parametrize(
    ("kind", "written", "status", "body"),
    [
        ("UNAUTHORIZED", {}, 401, b'{"message":"Unauthorized"}'),
        ("UNAUTHORIZED", {"DEFAULT_4XX": GatewayResponse(None, {}, "four")}, 401, b"four"),
        ("UNAUTHORIZED", {"DEFAULT_4XX": GatewayResponse(400, {}, "four")}, 400, b"four"),
        ("INTEGRATION_TIMEOUT", {"DEFAULT_4XX": GatewayResponse(400, {}, "four")}, 504, b'{"message":"Endpoint request timed out"}'),
        ("INTEGRATION_FAILURE", {"DEFAULT_5XX": GatewayResponse(None, {}, "five")}, 502, b"five"),
        ("UNAUTHORIZED", {"DEFAULT_4XX": GatewayResponse(None, {}, "four"), "UNAUTHORIZED": GatewayResponse(None, {}, "one")}, 401, b"one"),
    ],
)
def test_what_the_template_leaves_out_falls_back(kind: str, written: dict[str, GatewayResponse], status: int, body: bytes) -> None:
    reply = ErrorResponses(written, stage="prod").reply(GatewayError(kind), EXCHANGE)

    assert (reply.status, reply.body) == (status, body)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"detail":"It failed.","code":"x"}', '{"detail": "why", "code": "x"}'),
        (None, '{"message": "why"}'),
        ("<p>no</p>", "<p>no</p>"),
        ("[1]", "[1]"),
    ],
)
def test_a_failed_start_tells_its_reason_in_the_templates_words(body: str | None, told: str) -> None:
    refusal = GatewayError("INTEGRATION_FAILURE", reason="why", shows_reason=True)
    reply = ErrorResponses({"INTEGRATION_FAILURE": GatewayResponse(None, {}, body)}, stage="prod").reply(refusal, EXCHANGE)

    assert reply.body.decode() == told
