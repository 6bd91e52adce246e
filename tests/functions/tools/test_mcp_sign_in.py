"""The tokens of MCP clients at `/mcp`."""

import pytest

from tests.fakes.oauth_client import OAuthApp, holder_of

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@pytest.fixture
def holder(auth, alice):
    """Alice's connected client."""
    return holder_of(OAuthApp.registered(auth).tokens(alice)["access_token"], alice)


def test_a_connected_client_uses_mcp_and_no_other_route(served, holder):
    assert served.post("/mcp", PING, as_=holder).status == 200
    assert [served.get(path, as_=holder).status for path in ("/tools", "/tools/mcp-servers")] == [403, 403]


def test_a_client_whose_session_has_ended_is_refused(auth, served, alice, holder):
    auth.delete(f"/auth/sessions/{holder.claims['sid']}", as_=alice)

    assert served.post("/mcp", PING, as_=holder).status == 401
