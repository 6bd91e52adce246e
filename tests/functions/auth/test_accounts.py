import secrets

import pytest

from parley.db.accounts import users
from parley.db.transactions import user_scope
from tests.support.api_gateway import PASSWORD, Person


def address():
    return f"{secrets.token_hex(6)}@example.com"


def test_registration_returns_the_account_and_tokens(auth):
    email = address()
    answer = auth.post("/auth/register", {"email": email, "password": PASSWORD, "display_name": "Ada"})

    assert answer.status == 201
    assert answer.json["user"] | {"id": "", "created_at": ""} == {
        "id": "",
        "email": email,
        "display_name": "Ada",
        "role": "user",
        "memory_enabled": True,
        "default_model": None,
        "retention_days": None,
        "created_at": "",
    }
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 600)


def test_times_are_rfc_3339_in_utc(auth, alice):
    assert auth.get("/auth/me", as_=alice).json["created_at"].endswith("Z")


def test_every_spelling_of_an_address_belongs_to_one_account(auth, alice):
    answer = auth.post("/auth/register", {"email": f"  {alice.email.upper()} ", "password": PASSWORD})

    assert (answer.status, answer.json["code"]) == (409, "email_taken")


def test_a_refused_registration_leaves_the_account_as_it_was(auth, alice):
    auth.post("/auth/register", {"email": alice.email, "password": "another long enough phrase"})

    assert auth.post("/auth/login", {"email": alice.email, "password": PASSWORD}).status == 200


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaaaaaa", "abababababababababab"])
def test_a_weak_password_is_refused_with_the_reason(auth, password):
    answer = auth.post("/auth/register", {"email": address(), "password": password})

    assert (answer.status, answer.json["code"]) == (422, "weak_password")
    assert "password" in answer.json["detail"]


@pytest.mark.parametrize(
    "email", ["", "ada", "ada@", "@example.com", "a b@example.com", "ada@example", "ada@example.com\u0000", "a" * 250 + "@e.com"]
)
def test_an_invalid_address_is_refused(auth, email):
    assert auth.post("/auth/register", {"email": email, "password": PASSWORD}).status == 422


@pytest.mark.parametrize("password", ["pässwörter sind länger", "密码密码一二三四五六七八九十", "   spaces are very much fine   "])
def test_every_character_of_a_unicode_password_counts(auth, password):
    email = address()
    assert auth.post("/auth/register", {"email": email, "password": password}).status == 201

    assert auth.post("/auth/login", {"email": email, "password": password}).status == 200
    assert auth.post("/auth/login", {"email": email, "password": password[:-1] + "!"}).status == 401


def test_composed_and_decomposed_letters_are_the_same_password(auth):
    email = address()
    auth.post("/auth/register", {"email": email, "password": "caf\u00e9 au lait please"})

    assert auth.post("/auth/login", {"email": email, "password": "cafe\u0301 au lait please"}).status == 200


def test_a_wrong_password_and_an_unknown_address_look_alike_except_in_the_log(auth, alice, caplog):
    caplog.set_level("INFO")
    wrong = auth.post("/auth/login", {"email": alice.email, "password": "not the pass phrase"})
    unknown = auth.post("/auth/login", {"email": address(), "password": PASSWORD})

    assert (wrong.status, wrong.json | {"request_id": ""}) == (unknown.status, unknown.json | {"request_id": ""})
    assert wrong.json["code"] == "invalid_credentials"
    reasons = [record.reason for record in caplog.records if record.getMessage() == "request_refused"]
    assert reasons == [f"wrong password of {alice.id}", "unknown address"]


def test_an_unknown_address_costs_a_hash_too(auth, monkeypatch):
    from functions.auth.app import services, settings

    verified = []
    monkeypatch.setattr(services.passwords, "_hasher", type("Spy", (), {"verify": lambda _, *given: verified.append(given) or True})())
    answer = auth.post("/auth/login", {"email": address(), "password": PASSWORD})

    assert (answer.status, len(verified)) == (401, 1)
    assert verified[0][0].startswith(f"$argon2id$v=19$m={settings.argon_memory_kib},t={settings.argon_passes},p=1$")


def hash_of(postgres, person):
    return postgres.execute(f"SELECT password_hash FROM credentials WHERE user_id = '{person.id}'")[0][0]


def test_a_hash_with_older_parameters_is_renewed_at_login(engine, auth, alice, postgres):
    from argon2 import PasswordHasher

    from functions.auth.app import settings

    with user_scope(engine, alice.id) as connection:
        users.set_password_hash(connection, alice.id, PasswordHasher(time_cost=1, memory_cost=8192).hash(PASSWORD))
    auth.post("/auth/login", {"email": alice.email, "password": PASSWORD})

    assert f"m={settings.argon_memory_kib}," in hash_of(postgres, alice)


def test_a_password_from_before_a_stricter_policy_still_works(engine, auth, alice):
    from argon2 import PasswordHasher

    with user_scope(engine, alice.id) as connection:
        users.set_password_hash(connection, alice.id, PasswordHasher(time_cost=1, memory_cost=8192).hash("short"))

    assert auth.post("/auth/login", {"email": alice.email, "password": "short"}).status == 200


def test_a_profile_change_changes_only_the_given_fields(auth, alice):
    auth.patch("/auth/me", {"display_name": "Ada"}, as_=alice)
    answer = auth.patch("/auth/me", {"memory_enabled": False}, as_=alice)

    assert (answer.json["display_name"], answer.json["memory_enabled"]) == ("Ada", False)


@pytest.mark.parametrize("body", [{"role": "admin"}, {"id": "x"}, {"email": "x@example.com"}, {"memory_enabled": None}])
def test_a_profile_change_cannot_set_other_fields(auth, alice, body):
    assert auth.patch("/auth/me", body, as_=alice).status == 422


@pytest.mark.parametrize(("method", "path"), [("GET", "/auth/me"), ("PATCH", "/auth/me"), ("POST", "/auth/logout")])
def test_without_an_authorizer_context_the_caller_is_unauthorized(auth, method, path):
    assert auth.call(method, path, {}, headers={"X-User-Id": "someone"}).status == 401


def test_a_token_that_expired_since_the_gateway_cached_it_is_refused(auth, alice):
    late = Person(alice.email, alice.tokens, alice.claims | {"exp": 1_700_000_000})

    assert auth.get("/auth/me", as_=late).status == 401


def test_a_token_without_the_scope_is_refused(auth, alice):
    narrow = Person(alice.email, alice.tokens, alice.claims | {"scope": "chat"})

    assert (auth.get("/auth/me", as_=narrow).status, auth.get("/auth/me", as_=narrow).json["code"]) == (403, "forbidden")


def test_the_published_keys_verify_the_tokens(auth, alice):
    from parley.auth.access_tokens import verify_token
    from parley.auth.public_keys import parse_jwks

    keys = parse_jwks(auth.get("/.well-known/jwks.json").json)

    assert verify_token(alice.tokens["access_token"], find_key=keys.get, issuer="parley/test/prod")["sub"] == str(alice.id)
