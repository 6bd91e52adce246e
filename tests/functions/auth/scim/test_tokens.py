"""The token of the identity provider: made, replaced and revoked by admins, and needed by every route."""

from dataclasses import replace

import pytest

from functions.auth.scim import tokens
from tests.contract.operations import operations
from tests.functions.auth.scim.provider import Provider, refusal

ROUTES = [operation for operation in operations() if operation.path.startswith("/scim/")]
ADDRESS = "https://api.example.com/prod/scim/v2"
FORGED = "pst_AZlvagAAcACAAAAAAAAAAWV4YW1wbGUtZXhhbXBsZS0"


def status(provider):
    return provider.call("GET", "/Users?count=1").status


@pytest.fixture
def make(auth, admin):
    """Return a function that makes a token as an admin."""
    return lambda: Provider(auth, auth.post("/admin/scim-token", as_=admin).json["token"])


def test_a_token_is_shown_once_and_stored_as_a_hash(auth, postgres, admin):
    made = auth.post("/admin/scim-token", as_=admin)
    stored = postgres.execute("SELECT CAST(row_to_json(scim_tokens) AS text) FROM scim_tokens", dbname="parley")

    shown = auth.get("/admin/scim-token", as_=admin)
    assert (made.status, made.json["base_url"], shown.json["base_url"]) == (201, ADDRESS, ADDRESS)
    assert made.json["token"].removeprefix("pst_") not in str(stored)
    assert made.json["token"] not in shown.body.decode()


@pytest.mark.parametrize("header", [{}, {"Authorization": f"Bearer {FORGED}"}, {"Authorization": FORGED}])
def test_every_route_needs_the_token(auth, change_services, header):
    from functions.auth.app import services

    change_services(throttle=replace(services.throttle, per_address=1000))
    urls = [(one.method, one.url("01996f6a-0000-7000-8000-000000000009"), one.example() if one.body else None) for one in ROUTES]
    answers = [auth.call(method, url, body, headers=header) for method, url, body in urls]

    assert len(answers) == 17
    assert {refusal(answer) for answer in answers} == {(401, None)}
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}


def test_a_token_with_another_secret_is_refused(make):
    first, second = make(), make()
    mixed = first.token[:26] + second.token[26:]

    assert refusal(replace(first, token=mixed).call("GET", "/Users")) == (401, None)


def test_a_token_is_sent_as_a_bearer_token(auth, provider):
    answers = [auth.get("/scim/v2/Users", headers={"Authorization": f"{scheme} {provider.token}"}) for scheme in ("bearer", "Basic")]

    assert [answer.status for answer in answers] == [200, 401]


def test_no_other_token_opens_the_routes(auth, admin, alice):
    for person in (admin, alice):
        assert status(Provider(auth, person.tokens["access_token"])) == 401


def test_a_replaced_token_stays_valid_for_a_day_however_many_follow(postgres, make):
    first, second = make(), make()
    postgres.execute("UPDATE scim_tokens SET expires_at = expires_at - interval '23 hours'", dbname="parley")
    third = make()
    assert [status(provider) for provider in (first, second, third)] == [200, 200, 200]
    postgres.execute("UPDATE scim_tokens SET expires_at = expires_at - interval '1 hour'", dbname="parley")
    assert [status(provider) for provider in (first, second, third)] == [401, 200, 200]
    postgres.execute("UPDATE scim_tokens SET expires_at = expires_at - interval '23 hours'", dbname="parley")

    assert [status(provider) for provider in (first, second, third)] == [401, 401, 200]


def test_the_valid_tokens_are_listed_newest_first(auth, admin, make):
    status(make()), make()
    listed = auth.get("/admin/scim-token", as_=admin).json["tokens"]

    assert [(token["expires_at"] is None, token["last_used_at"] is None) for token in listed[:2]] == [(True, True), (False, False)]


def test_revoked_tokens_end_at_once_and_the_audit_has_the_acts(auth, admin, make):
    providers = make(), make()
    assert auth.delete("/admin/scim-token", as_=admin).status == 204

    assert [status(provider) for provider in providers] == [401, 401]
    acts = [row["action"] for row in auth.get(f"/admin/audit?actor_id={admin.id}", as_=admin).json["items"]]
    assert acts[:3] == ["scim_tokens_revoked", "scim_token_made", "scim_token_made"]


@pytest.fixture
def unused_limits(postgres):
    """No request counts towards a limit, neither before the test nor after it."""
    postgres.execute("DELETE FROM guesses", dbname="parley")
    yield
    postgres.execute("DELETE FROM guesses", dbname="parley")


@pytest.mark.usefixtures("unused_limits")
def test_a_provider_that_calls_too_often_waits(provider, monkeypatch):
    monkeypatch.setattr(tokens, "REQUESTS_PER_MINUTE", 2)
    answers = [provider.call("GET", "/Users?count=1") for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert refusal(answers[2]) == (429, None)
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60


def test_a_network_that_guesses_tokens_is_stopped(auth, change_services):
    from functions.auth.app import services

    change_services(throttle=replace(services.throttle, per_address=2))
    statuses = [Provider(auth, FORGED).call("GET", "/Users").status for _ in range(3)]

    assert statuses[-1] == 429


@pytest.mark.parametrize(("minutes", "is_noted"), [(50, False), (70, True)])
def test_the_last_use_of_a_token_is_noted_once_an_hour(auth, admin, make, postgres, minutes, is_noted):
    provider = make()
    postgres.execute(f"UPDATE scim_tokens SET last_used_at = now() - interval '{minutes} minutes'", dbname="parley")
    before = auth.get("/admin/scim-token", as_=admin).json["tokens"][0]["last_used_at"]
    status(provider)

    assert (auth.get("/admin/scim-token", as_=admin).json["tokens"][0]["last_used_at"] > before) is is_noted
