"""Limits on the requests of OAuth clients: per network, apart from the logins there, and without those that succeed."""

from urllib.parse import urlencode
from uuid import uuid4

import pytest

from functions.auth.login_throttle import LoginThrottle
from tests.fakes.oauth_client import CALLBACK, OAuthApp
from tests.support.concurrency import TimedRequest

LIMIT = 5
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(autouse=True)
def limited_network(change_services):
    """Limit a network to five attempts, and leave accounts unlimited."""
    change_services(throttle=LoginThrottle(per_account=1000, per_address=LIMIT, per_minute=100_000))


@pytest.fixture
def network():
    """Return an address of a network that has sent no request yet."""
    return f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1"


def form(path, address, **fields):
    return TimedRequest("POST", path, urlencode(fields), address=address, headers=FORM)


def useless_requests(address):
    """Return every request of a client that costs this server work, without a valid code or token."""
    return [
        form("/oauth/token", address, grant_type="authorization_code", client_id="pcl_x", code="A" * 43, code_verifier="v" * 43),
        form("/oauth/token", address, grant_type="refresh_token", client_id="pcl_x", refresh_token="pcr_unknown"),
        form("/oauth/revoke", address, client_id="pcl_x", token="pcr_unknown"),
        TimedRequest("POST", "/oauth/register", {"redirect_uris": [CALLBACK]}, address=address),
    ]


def statuses(auth, calls):
    return [auth.invoke(call.event()).status for call in calls]


@pytest.mark.parametrize("last", range(4))
def test_requests_of_every_route_add_up_for_a_network(auth, network, last):
    calls = useless_requests(network)
    elsewhere = useless_requests(f"2001:db8:1:{uuid4().hex[:4]}::1")

    assert statuses(auth, (calls * 2)[:LIMIT]) == [400, 400, 200, 201, 400]
    assert statuses(auth, [calls[last]]) == [429]
    assert statuses(auth, [elsewhere[last]]) != [429]


def test_the_refusal_names_the_wait(auth, network):
    call = useless_requests(network)[0]
    statuses(auth, [call] * LIMIT)
    refused = auth.invoke(call.event())

    assert (refused.json["code"], refused.json["status"]) == ("rate_limited", 429)
    assert 0 < int(refused.headers["retry-after"]) <= 900 / LIMIT


def test_clients_that_renew_their_tokens_do_not_use_up_the_limit(auth, alice, network, change_services):
    change_services(throttle=LoginThrottle(per_account=1000, per_address=1000, per_minute=100_000))
    app = OAuthApp.registered(auth)
    token = app.tokens(alice)["refresh_token"]
    change_services(throttle=LoginThrottle(per_account=1000, per_address=LIMIT, per_minute=100_000))
    for _ in range(2 * LIMIT):
        call = form("/oauth/token", network, grant_type="refresh_token", client_id=app.client_id, refresh_token=token)
        token = auth.invoke(call.event()).json["refresh_token"]

    assert statuses(auth, [useless_requests(network)[1]] * (LIMIT + 1)) == [400] * LIMIT + [429]


def test_clients_do_not_lock_out_the_logins_of_their_network(auth, network):
    statuses(auth, [useless_requests(network)[0]] * (LIMIT + 1))
    guess = TimedRequest("POST", "/auth/login", {"email": f"{uuid4()}@example.com", "password": "not the pass phrase"}, address=network)

    assert statuses(auth, [guess]) == [401]
