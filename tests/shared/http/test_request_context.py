"""What a function reads of the gateway's event: the caller, the client's origin and the time of the request."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from parley.auth.client_origin import ClientOrigin
from parley.errors import Unauthorized
from parley.http.dependencies import origin_of, principal_of, received_at

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
CLAIMS = {"sub": "01890a5d-ac96-774b-bcce-b302099a8057", "sid": "01890a5d-ac96-774b-bcce-b302099a8058", "scope": "chat"}


def event(headers=None, **context):
    return {"requestContext": context, "headers": headers}


@time_machine.travel(NOW, tick=False)
def test_a_token_is_valid_until_the_second_of_its_expiry():
    seconds = int(NOW.timestamp())

    assert principal_of(event(authorizer=CLAIMS | {"exp": str(seconds + 1)})).expires_at == NOW + timedelta(seconds=1)
    with pytest.raises(Unauthorized, match="token expired"):
        principal_of(event(authorizer=CLAIMS | {"exp": str(seconds)}))


@pytest.mark.parametrize("authorizer", [None, {}])
def test_without_the_authorizers_context_nobody_is_the_caller(authorizer):
    with pytest.raises(Unauthorized, match="no authorizer context"):
        principal_of(event(authorizer=authorizer))


@pytest.mark.parametrize(
    ("headers", "agent"),
    [(None, None), ({}, None), ({"USER-AGENT": "x" * 301}, "x" * 300), ({"User-Agent": "a\0b"}, "ab"), ({"User-Agent": "\0"}, None)],
)
def test_a_user_agent_is_cut_to_300_characters(headers, agent):
    assert origin_of(event(headers, identity={"sourceIp": "192.0.2.7"})) == ClientOrigin("192.0.2.7", agent)


@pytest.mark.parametrize("context", [{}, {"identity": {}}, {"identity": {"sourceIp": None}}])
def test_an_address_that_the_gateway_does_not_name_is_unknown(context):
    assert origin_of(event(**context)).address == "unknown"


@pytest.mark.parametrize(("ago_ms", "expected"), [(1500, NOW - timedelta(milliseconds=1500)), (-1500, NOW), (None, NOW)])
def test_a_request_is_as_old_as_the_gateway_says_but_not_from_the_future(ago_ms, expected):
    context = {} if ago_ms is None else {"requestTimeEpoch": int(NOW.timestamp() * 1000) - ago_ms}
    with time_machine.travel(NOW, tick=False):
        assert received_at(event(**context)) == expected
