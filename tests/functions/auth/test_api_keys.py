from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from functions.auth.api_keys import MAX_API_KEYS, ApiKeyRequest, issue_key
from parley.auth.client_origin import ClientOrigin
from parley.db.accounts import api_keys
from parley.db.transactions import principal_scope
from parley.jobs import AccountNotice
from tests.support.api_gateway import PASSWORD
from tests.support.concurrency import closing_engine, meet_after, outcomes


def make(auth, person, headers=None, **fields):
    return auth.post("/auth/api-keys", {"name": "ci", "password": PASSWORD} | fields, as_=person, headers=headers)


def holder(person, created):
    """Return the caller that the authorizer derives from the key."""
    claims = {"sub": str(person.id), "api_key_id": created["id"], "scope": " ".join(created["scopes"]), "exp": person.claims["exp"]}
    return replace(person, claims=claims)


def test_a_key_is_shown_once(auth, alice):
    created = make(auth, alice).json
    listed = auth.get("/auth/api-keys", as_=alice).json["items"]

    assert created["key"].startswith("parley_")
    assert listed == [{name: value for name, value in created.items() if name != "key"}]


def test_a_key_grants_its_scopes(auth, conversation, alice):
    key = holder(alice, make(auth, alice, scopes=["conversations"]).json)

    assert conversation.get("/conversations", as_=key).status == 200


def test_a_key_cannot_reach_account_routes(auth, alice):
    key = holder(alice, make(auth, alice).json)

    assert [auth.call(method, path, {}, as_=key).status for method, path in [("GET", "/auth/me"), ("POST", "/auth/api-keys")]] == [403, 403]


def test_a_revoked_key_is_refused(auth, conversation, alice):
    created = make(auth, alice).json
    assert auth.delete(f"/auth/api-keys/{created['id']}", as_=alice).status == 204

    assert conversation.get("/conversations", as_=holder(alice, created)).status == 401
    assert auth.get("/auth/api-keys", as_=alice).json["items"] == []


def test_a_key_of_a_disabled_account_is_refused(auth, conversation, alice, postgres):
    created = make(auth, alice).json
    postgres.execute(f"UPDATE users SET disabled_at = now() WHERE id = '{alice.id}'", dbname="parley")

    assert conversation.get("/conversations", as_=holder(alice, created)).status == 401


def test_a_key_id_of_another_user_is_refused(auth, conversation, alice, bob):
    created = make(auth, alice).json

    assert conversation.get("/conversations", as_=holder(bob, created)).status == 401


def test_a_keys_last_use_is_recorded(auth, conversation, alice):
    created = make(auth, alice).json
    conversation.get("/conversations", as_=holder(alice, created))
    (listed,) = auth.get("/auth/api-keys", as_=alice).json["items"]

    assert (created["last_used_at"], listed["last_used_at"] is None) == (None, False)


@pytest.mark.parametrize(("minutes", "is_noted"), [(50, False), (70, True)])
def test_a_keys_last_use_is_noted_once_an_hour(auth, conversation, alice, postgres, minutes, is_noted):
    created = make(auth, alice).json
    earlier = f"now() - interval '{minutes} minutes'"
    postgres.execute(f"UPDATE api_keys SET last_used_at = {earlier} WHERE id = '{created['id']}'", dbname="parley")
    (before,) = auth.get("/auth/api-keys", as_=alice).json["items"]
    conversation.get("/conversations", as_=holder(alice, created))
    (after,) = auth.get("/auth/api-keys", as_=alice).json["items"]

    assert (after["last_used_at"] > before["last_used_at"]) is is_noted


def test_a_key_expires_at_the_requested_time(auth, alice):
    wanted = datetime.now(UTC) + timedelta(days=3)
    created = make(auth, alice, expires_at=wanted.isoformat()).json

    assert datetime.fromisoformat(created["expires_at"]) == wanted


@pytest.mark.parametrize("days", [-1, 0, 366])
def test_a_key_expires_within_a_year(auth, alice, days):
    answer = make(auth, alice, expires_at=(datetime.now(UTC) + timedelta(days=days)).isoformat())

    assert (answer.status, answer.json["errors"][0]["loc"]) == (422, ["body", "expires_at"])


@pytest.mark.parametrize(("ahead", "status"), [(timedelta(0), 422), (timedelta(days=365), 201), (timedelta(days=365, seconds=1), 422)])
def test_a_key_ends_in_the_next_365_days(auth, alice, clock, ahead, status):
    assert make(auth, alice, expires_at=(datetime.now(UTC) + ahead).isoformat()).status == status


@pytest.mark.parametrize(
    "fields",
    [
        {"scopes": ["account"]},
        {"scopes": ["admin"]},
        {"scopes": []},
        {"name": ""},
        {"expires_at": "2027-01-01T00:00:00"},
        {"expires_at": 1_800_000_000},
        {"expires_at": "1800000000"},
    ],
)
def test_an_invalid_key_request_is_refused(auth, alice, fields):
    assert make(auth, alice, **fields).status == 422


def store_keys(postgres, person, *, count):
    postgres.execute(
        f"""INSERT INTO api_keys (user_id, id, name, scopes, expires_at)
            SELECT '{person.id}', gen_random_uuid(), 'x', '{{chat}}', now() + interval '1 day' FROM generate_series(1, {count})""",
        dbname="parley",
    )


def test_a_user_has_at_most_fifty_keys(auth, alice, postgres):
    store_keys(postgres, alice, count=49)

    assert [make(auth, alice).json.get("code") for _ in range(2)] == [None, "too_many_api_keys"]


@pytest.mark.parametrize("end", ["revoked_at = now()", "expires_at = now()"])
def test_a_key_that_has_ended_makes_room_for_another(auth, alice, postgres, end):
    store_keys(postgres, alice, count=MAX_API_KEYS)
    first = f"(SELECT id FROM api_keys WHERE user_id = '{alice.id}' LIMIT 1)"
    postgres.execute(f"UPDATE api_keys SET {end} WHERE id = {first}", dbname="parley")

    assert make(auth, alice).status == 201


def test_a_repeated_request_creates_one_key_and_shows_it_once(auth, alice):
    first, second = (make(auth, alice, headers={"Idempotency-Key": "k1"}).json for _ in range(2))

    assert second == first | {"key": None}
    assert len(auth.get("/auth/api-keys", as_=alice).json["items"]) == 1


def test_a_new_key_is_announced_by_mail_and_a_repeated_request_is_not(auth, alice, queued):
    mails = [queued() for _ in range(2) if make(auth, alice, headers={"Idempotency-Key": "k1"})]

    assert mails == [[AccountNotice("new_api_key", to=alice.email)], []]


def test_an_idempotency_key_fits_one_request(auth, alice):
    make(auth, alice, headers={"Idempotency-Key": "k1"})
    answer = make(auth, alice, headers={"Idempotency-Key": "k1"}, name="other")

    assert (answer.status, answer.json["code"]) == (422, "idempotency_key_reused")


def test_idempotency_keys_of_different_users_are_independent(auth, alice, bob):
    created = [make(auth, person, headers={"Idempotency-Key": "k1"}).json["key"] for person in (alice, bob)]

    assert None not in created


def test_a_failed_request_can_be_repeated_with_its_idempotency_key(auth, alice):
    late = (datetime.now(UTC) + timedelta(days=400)).isoformat()
    assert make(auth, alice, headers={"Idempotency-Key": "k1"}, expires_at=late).status == 422

    assert make(auth, alice, headers={"Idempotency-Key": "k1"}).status == 201


def test_a_keys_claims_name_its_creator(auth, alice):
    import jwt

    created = make(auth, alice).json
    claims = jwt.decode(created["key"].removeprefix("parley_"), options={"verify_signature": False})

    assert (claims["sub"], claims["jti"]) == (str(alice.id), created["id"])


def test_keys_are_listed_in_pages(auth, alice):
    for number in range(3):
        make(auth, alice, name=str(number))
    first = auth.get("/auth/api-keys?limit=2", as_=alice).json
    second = auth.get(f"/auth/api-keys?limit=2&cursor={first['next_cursor']}", as_=alice).json

    assert [key["name"] for key in first["items"] + second["items"]] == ["2", "1", "0"]
    assert second["next_cursor"] is None


def test_an_idempotency_key_that_cannot_be_stored_is_refused(auth, alice):
    assert make(auth, alice, headers={"Idempotency-Key": "a\0b"}).status == 422


@pytest.mark.parametrize(("password", "expected"), [("not the pass phrase", (403, "wrong_password")), (None, (422, "login_too_old"))])
def test_a_key_needs_the_current_password(auth, alice, password, expected):
    body = {"name": "ci"} | ({"password": password} if password else {})
    answer = auth.post("/auth/api-keys", body, as_=alice)

    assert (answer.status, answer.json["code"]) == expected
    assert auth.get("/auth/api-keys", as_=alice).json["items"] == []


def test_a_repeated_request_for_a_key_needs_the_password_too(auth, alice):
    make(auth, alice, headers={"Idempotency-Key": "k1"})

    assert make(auth, alice, headers={"Idempotency-Key": "k1"}, password="not the pass phrase").status == 403


def test_the_password_of_a_key_request_cannot_be_guessed_from_the_database(auth, alice, postgres):
    make(auth, alice, headers={"Idempotency-Key": "k1"})
    stored = f"SELECT encode(fingerprint, 'hex') FROM idempotency_keys WHERE user_id = '{alice.id}'"
    first = postgres.execute(stored, dbname="parley")
    change = {"current_password": PASSWORD, "new_password": "quite another sentence to remember"}
    assert auth.post("/auth/password", change, as_=alice).status == 204
    again = make(auth, alice, headers={"Idempotency-Key": "k1"}, password=change["new_password"])

    assert (again.status, postgres.execute(stored, dbname="parley")) == (201, first)


def test_two_concurrent_requests_for_the_last_key_make_one(auth, alice, database, postgres, monkeypatch):
    from functions.auth.app import services

    store_keys(postgres, alice, count=MAX_API_KEYS - 1)
    meet_after(monkeypatch, api_keys, "count")

    def issue():
        with closing_engine(database) as engine, principal_scope(engine, alice.principal) as connection:
            return issue_key(connection, alice.principal, services.key_ring(), ApiKeyRequest("ci", None, None), origin=ClientOrigin("::1"))

    assert sorted(type(result).__name__ for result in outcomes([issue] * 2)) == ["IssuedApiKey", "TooManyApiKeys"]
