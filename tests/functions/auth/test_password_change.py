from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from functions.auth import account
from functions.auth.oauth import authorization
from functions.auth.passkeys import passkeys
from functions.auth.second_factor import totp
from parley.auth.client_origin import ClientOrigin
from parley.auth.one_time_codes import OneTimeCode
from parley.db.accounts import one_time_codes, second_factors, users
from parley.db.accounts import passkeys as stored_passkeys
from parley.db.accounts.passkeys import Credential
from parley.db.transactions import lock_access, principal_scope, user_scope
from parley.ids import new_id
from parley.jobs import AccountNotice, ResetPassword
from tests.fakes.oauth_client import OAuthApp
from tests.functions.auth import test_passkeys, test_second_factor
from tests.functions.auth.authenticator import Authenticator
from tests.support.api_gateway import PASSWORD, Person
from tests.support.concurrency import act_inside, impatient

NEW = "quite another sentence to remember"
ORIGIN = ClientOrigin("192.0.2.9")


def change(auth, person, current=PASSWORD, new=NEW, **fields):
    return auth.post("/auth/password", {"current_password": current, "new_password": new} | fields, as_=person)


def login(auth, person, password):
    return auth.post("/auth/login", {"email": person.email, "password": password})


@pytest.fixture
def has_key(auth, conversation, alice):
    """Create an API key and return a function that tells whether it still works."""
    created = auth.post("/auth/api-keys", {"name": "ci", "password": PASSWORD}, as_=alice).json
    claims = {"sub": str(alice.id), "api_key_id": created["id"], "scope": " ".join(created["scopes"]), "exp": alice.claims["exp"]}
    return lambda: {200: True, 401: False}[conversation.get("/conversations", as_=replace(alice, claims=claims)).status]


@pytest.fixture
def code(engine, alice):
    """Return the code that upkeep mails to a user who forgot the password."""
    created = OneTimeCode.new(alice.id)
    with user_scope(engine, alice.id) as connection:
        one_time_codes.add(connection, created.hash, user_id=alice.id, purpose="reset_password", lifetime=timedelta(minutes=10))
    return str(created)


def reset(auth, person, code, new=NEW):
    return auth.post("/auth/password/reset", {"email": person.email, "code": code, "new_password": new})


def test_only_the_new_password_works_after_a_change(auth, alice):
    assert change(auth, alice).status == 204

    assert (login(auth, alice, PASSWORD).status, login(auth, alice, NEW).status) == (401, 200)


def test_a_change_ends_the_other_sessions_and_keeps_this_one(auth, alice):
    other = Person.signed_in(auth, alice.email)
    change(auth, alice)

    assert [auth.get("/auth/me", as_=person).status for person in (alice, other)] == [200, 401]


def test_a_change_needs_the_current_password(auth, alice):
    answer = change(auth, alice, current="not the pass phrase")

    assert (answer.status, answer.json["code"]) == (403, "wrong_password")
    assert login(auth, alice, PASSWORD).status == 200


def test_a_weak_new_password_is_refused(auth, alice):
    assert change(auth, alice, new="passwordpassword").json["code"] == "weak_password"


def test_a_change_is_mailed_to_the_address(auth, alice, queued):
    change(auth, alice)

    assert queued() == [AccountNotice("password_changed", to=alice.email)]


def test_requesting_a_code_looks_the_same_for_every_address(auth, alice, queued):
    answers = [auth.post("/auth/password/forgot", {"email": email}) for email in (alice.email, "nobody@example.com")]

    assert [(answer.status, answer.json) for answer in answers] == [(202, {"status": "accepted"})] * 2
    assert queued() == [ResetPassword(alice.email), ResetPassword("nobody@example.com")]


def test_the_code_sets_a_password_and_ends_every_session(auth, alice, code):
    assert reset(auth, alice, code).status == 204

    assert auth.get("/auth/me", as_=alice).status == 401
    assert auth.post("/auth/refresh", {"refresh_token": alice.tokens["refresh_token"]}).status == 401
    assert login(auth, alice, NEW).status == 200


def test_a_reset_code_works_once(auth, alice, code):
    reset(auth, alice, code)

    assert reset(auth, alice, code).json["code"] == "invalid_code"


def test_a_weak_password_does_not_use_up_the_code(auth, alice, code):
    assert reset(auth, alice, code, new="short").json["code"] == "weak_password"

    assert reset(auth, alice, code).status == 204


def test_a_code_works_only_for_its_address(auth, alice, bob, code):
    assert reset(auth, bob, code).json["code"] == "invalid_code"

    assert reset(auth, alice, code).status == 204


def test_a_newer_code_replaces_the_older(auth, alice, code, engine):
    with user_scope(engine, alice.id) as connection:
        one_time_codes.add(
            connection, OneTimeCode.new(alice.id).hash, user_id=alice.id, purpose="reset_password", lifetime=timedelta(minutes=10)
        )

    assert reset(auth, alice, code).status == 422


def test_a_password_change_invalidates_codes(auth, alice, code):
    change(auth, alice)

    assert reset(auth, alice, code, new="a third sentence to be remembered").json["code"] == "invalid_code"


@pytest.mark.parametrize("text", ["x", "A" * 43, "é" * 43, "A" * 200])
def test_a_malformed_code_is_refused(auth, alice, text):
    assert reset(auth, alice, text).json["code"] == "invalid_code"


def test_a_weak_password_error_names_its_field(auth, alice, code):
    answers = [change(auth, alice, new="short"), reset(auth, alice, code, new="short")]

    assert [answer.json["errors"][0]["loc"] for answer in answers] == [["body", "new_password"]] * 2


def test_a_password_reset_revokes_the_api_keys_and_the_mail_says_so(auth, alice, code, has_key, queued):
    queued()
    assert (has_key(), reset(auth, alice, code).status) == (True, 204)

    assert not has_key()
    assert queued() == [AccountNotice("password_reset", to=alice.email)]
    event = auth.get("/auth/audit?limit=2", as_=Person.signed_in(auth, alice.email, password=NEW)).json["items"][1]
    assert (event["event"], event["detail"]) == ("password_reset", {"api_keys_revoked": 1})


@pytest.fixture
def app(auth, alice, clock):
    """The authenticator app of alice's second factor."""
    app = test_second_factor.Authenticator(auth, alice, clock)
    assert app.confirm(app.code()).status == 200
    return app


@pytest.fixture
def device(auth, alice, app):
    """A passkey of alice's, who has an authenticator app as well."""
    device = Authenticator()
    assert test_passkeys.add(auth, alice, device).status == 201
    return device


def test_the_first_proof_of_an_address_removes_what_a_stranger_may_have_added(auth, alice, code, device):
    reset(auth, alice, code)

    assert (login(auth, alice, NEW).status, test_passkeys.sign_in(auth, device).status) == (200, 403)


@pytest.fixture
def proven_address(engine, alice):
    """Alice's address, which she has proven."""
    with user_scope(engine, alice.id) as connection:
        users.set_verified_email(connection, alice.id, alice.email)
    return alice.email


def test_a_reset_at_a_proven_address_keeps_passkeys_and_the_app(auth, alice, code, device, proven_address):
    reset(auth, alice, code)

    assert (login(auth, alice, NEW).status, test_passkeys.sign_in(auth, device).status) == (202, 200)


def passkeys_of(engine, person):
    with user_scope(engine, person.id) as connection:
        return stored_passkeys.credentials(connection, user_id=person.id)


def factor_of(engine, person):
    with user_scope(engine, person.id) as connection:
        return second_factors.find(connection, user_id=person.id)


@pytest.fixture
def reset_inside(alice, code, elsewhere, monkeypatch):
    """Return a function that lets alice's password be reset inside a transaction of a module, after the check of her session."""
    reset_meanwhile = partial(account.reset_password, elsewhere, email=alice.email, code=code, new_password=NEW, origin=ORIGIN)
    return lambda module, **options: act_inside(monkeypatch, module, reset_meanwhile, **options)


def test_a_passkey_that_was_begun_before_a_reset_is_not_stored_after_it(auth, alice, reset_inside, engine):
    reset_inside(passkeys, entry=3)

    assert test_passkeys.add(auth, alice, Authenticator()).status == 401
    assert passkeys_of(engine, alice) == []


def test_a_second_factor_that_was_requested_before_a_reset_is_not_begun_after_it(auth, alice, reset_inside, engine):
    reset_inside(totp)

    assert auth.post("/auth/second-factor", {"password": PASSWORD}, as_=alice).status == 401
    assert factor_of(engine, alice) is None


def test_a_second_factor_that_was_begun_before_a_reset_is_not_confirmed_after_it(auth, alice, proven_address, reset_inside, engine, clock):
    app = test_second_factor.Authenticator(auth, alice, clock)
    reset_inside(totp)

    assert app.confirm(app.code()).status == 401
    assert factor_of(engine, alice).confirmed_at is None


def test_no_client_receives_access_by_a_consent_from_before_a_reset(auth, alice, reset_inside):
    client = OAuthApp.registered(auth)
    reset_inside(authorization)

    assert client.consent(alice).status == 401
    listed = auth.get("/auth/sessions", as_=Person.signed_in(auth, alice.email, password=NEW)).json["items"]
    assert [session["client_name"] for session in listed] == [None]


def test_a_passkey_that_is_stored_during_a_reset_does_not_stay(auth, alice, code, engine, monkeypatch):
    def remove_then_add(connection, *, user_id):
        remove_all(connection, user_id=user_id)
        with principal_scope(engine, alice.principal) as own, impatient(own):
            lock_access(own, alice.principal)
            stored_passkeys.add(own, new_id(), Credential(b"id", b"key", 0, []), user_id=user_id, name="Thief's", is_backed_up=False)

    remove_all = stored_passkeys.remove_all
    monkeypatch.setattr(stored_passkeys, "remove_all", remove_then_add)

    assert reset(auth, alice, code).status == 204
    assert passkeys_of(engine, alice) == []


def test_a_reset_waits_for_a_login_that_has_used_up_a_code(app, change_password_after):
    changes = change_password_after(second_factors, "advance")

    assert app.log_in(app.code()).status == 200
    assert changes == []


def test_a_reset_waits_for_a_login_that_has_used_a_passkey(auth, device, change_password_after):
    changes = change_password_after(stored_passkeys, "advance")

    assert test_passkeys.sign_in(auth, device).status == 200
    assert changes == []


def test_a_password_change_revokes_the_api_keys(auth, alice, has_key, queued):
    queued()
    change(auth, alice)

    assert not has_key()
    assert queued() == [AccountNotice("password_changed_keys_revoked", to=alice.email)]


def test_a_password_change_can_keep_the_api_keys(auth, alice, has_key, queued):
    queued()
    change(auth, alice, keep_api_keys=True)

    assert has_key()
    assert queued() == [AccountNotice("password_changed", to=alice.email)]


def test_a_key_requested_with_the_old_password_does_not_outlive_a_concurrent_reset(auth, alice, code, monkeypatch):
    from functions.auth import account, api_keys

    def reset_meanwhile(services, *args, origin):
        proof = reauthenticate(services, *args, origin=origin)
        account.reset_password(services, email=alice.email, code=code, new_password=NEW, origin=origin)
        return proof

    reauthenticate = api_keys.reauthenticate
    monkeypatch.setattr(api_keys, "reauthenticate", reset_meanwhile)
    monkeypatch.setattr(account.sessions, "end_all", lambda *args, **options: 0)  # as if the request had begun before
    answer = auth.post("/auth/api-keys", {"name": "ci", "password": PASSWORD}, as_=alice)

    assert (answer.status, answer.json["code"]) == (403, "wrong_password")
