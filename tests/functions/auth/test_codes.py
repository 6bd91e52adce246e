"""One-time codes: each serves one purpose, for ten minutes, and for only one of many concurrent requests."""

import base64
from datetime import timedelta
from uuid import uuid4

import pytest

from parley.auth.one_time_codes import OneTimeCode
from parley.db.accounts import one_time_codes, signups
from parley.db.transactions import global_scope, user_scope
from parley.ids import new_id
from tests.support.api_gateway import PASSWORD, Person
from tests.support.concurrency import ROUNDS, TimedRequest

NEW = "quite another sentence to remember"
TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
def mint(engine):
    """Return a function that stores a code as upkeep does before mailing it: `mint(alice, "change_email")`."""

    def make(person, purpose="reset_password"):
        code = OneTimeCode.new(person.id)
        new_email = f"{uuid4()}@example.com" if purpose == "change_email" else None
        with user_scope(engine, person.id) as connection:
            one_time_codes.add(connection, code.hash, user_id=person.id, purpose=purpose, lifetime=TEN_MINUTES, new_email=new_email)
        return str(code)

    return make


@pytest.fixture
def sign_up(engines):
    """Return a function that stores a sign-up with a mailed code and returns the address and the code."""

    def make():
        signup = signups.Signup(new_id(), f"{uuid4()}@example.com", None, "a hash", None)
        code = OneTimeCode.new(signup.id)
        with global_scope(engines["background"]) as connection:
            signups.add(connection, signup, lifetime=TEN_MINUTES)
            signups.set_code(connection, signup.id, code.hash, lifetime=TEN_MINUTES)
        return signup.email, str(code)

    return make


def reset(person, code):
    return TimedRequest("POST", "/auth/password/reset", {"email": person.email, "code": code, "new_password": NEW})


def confirm(person, code):
    return TimedRequest("POST", "/auth/email/confirm", {"code": code}, as_=person)


def verify(email, code):
    return TimedRequest("POST", "/auth/verify", {"email": email, "code": code})


def outcomes(answers):
    return sorted((answer.status, answer.json["code"] if answer.status >= 400 else "") for answer in answers)


def test_of_fifty_concurrent_uses_of_a_reset_code_one_succeeds(client_processes, mint):
    for _ in range(ROUNDS):
        person = Person.registered(client_processes)
        answers = client_processes.race([reset(person, mint(person))] * 50)

        assert outcomes(answers) == [(204, "")] + [(422, "invalid_code")] * 49
        assert client_processes.ask("GET", "/auth/me", as_=person).status == 401
        assert client_processes.post("/auth/login", {"email": person.email, "password": NEW}).status == 200


def test_of_fifty_concurrent_confirmations_of_an_address_one_succeeds(client_processes, mint):
    for _ in range(ROUNDS):
        person = Person.registered(client_processes)
        answers = client_processes.race([confirm(person, mint(person, "change_email"))] * 50)

        assert outcomes(answers) == [(204, "")] + [(422, "invalid_code")] * 49


def test_of_fifty_concurrent_verifications_one_gets_the_account_and_one_session(client_processes, sign_up, postgres):
    for _ in range(ROUNDS):
        email, code = sign_up()
        answers = client_processes.race([verify(email, code)] * 50)
        created = postgres.execute(
            f"SELECT count(DISTINCT u.id), count(s.id) FROM users u JOIN sessions s ON s.user_id = u.id WHERE u.email = '{email}'",
            dbname="parley",
        )

        assert outcomes(answers) == [(200, "")] + [(422, "invalid_code")] * 49
        assert created == [(1, 1)]


def test_a_code_works_only_for_its_purpose(auth, alice, mint, sign_up):
    email, signing_up = sign_up()
    resetting, changing = mint(alice), mint(alice, "change_email")
    misused = [reset(alice, changing), confirm(alice, resetting), verify(alice.email, resetting), verify(alice.email, changing)]
    misused += [reset(alice, signing_up), confirm(alice, signing_up)]

    assert outcomes(auth.invoke(call.event()) for call in misused) == [(422, "invalid_code")] * 6
    fitting = [verify(email, signing_up), confirm(alice, changing)]
    assert [auth.invoke(call.event()).status for call in fitting] == [200, 204]


def test_an_address_change_invalidates_the_reset_code_sent_to_the_old_address(auth, alice, mint):
    resetting, changing = mint(alice), mint(alice, "change_email")
    assert auth.invoke(confirm(alice, changing).event()).status == 204

    assert auth.invoke(reset(alice, resetting).event()).json["code"] == "invalid_code"


def test_a_new_password_ends_reset_codes_but_not_the_code_of_a_new_address(auth, alice, mint):
    resetting, changing = mint(alice), mint(alice, "change_email")
    changed = auth.post("/auth/password", {"current_password": PASSWORD, "new_password": NEW}, as_=alice)

    assert changed.status == 204
    assert auth.invoke(reset(alice, resetting).event()).json["code"] == "invalid_code"
    assert auth.invoke(confirm(alice, changing).event()).status == 204


@pytest.mark.parametrize("purpose", ["reset_password", "change_email"])
def test_an_expired_code_does_nothing(auth, alice, mint, postgres, purpose):
    code = mint(alice, purpose)
    postgres.execute(f"UPDATE one_time_codes SET expires_at = now() WHERE user_id = '{alice.id}'", dbname="parley")
    call = reset(alice, code) if purpose == "reset_password" else confirm(alice, code)

    assert auth.invoke(call.event()).json["code"] == "invalid_code"


def test_a_sign_up_with_an_expired_code_creates_no_account(auth, sign_up, postgres):
    email, code = sign_up()
    postgres.execute(f"UPDATE signups SET expires_at = now() WHERE email = '{email}'", dbname="parley")

    assert auth.invoke(verify(email, code).event()).json["code"] == "invalid_code"


def test_a_user_cannot_confirm_with_another_users_code(auth, alice, bob, mint):
    code = mint(alice, "change_email")

    assert auth.invoke(confirm(bob, code).event()).json["code"] == "invalid_code"
    assert auth.invoke(confirm(alice, code).event()).status == 204


def test_a_disabled_account_cannot_be_reset(auth, alice, mint, postgres):
    code = mint(alice)
    postgres.execute(f"UPDATE users SET disabled_at = now() WHERE id = '{alice.id}'", dbname="parley")

    assert auth.invoke(reset(alice, code).event()).json["code"] == "invalid_code"


def test_a_used_code_keeps_the_moment_of_its_use(auth, alice, mint, postgres):
    auth.invoke(reset(alice, mint(alice)).event())
    used = f"SELECT min(used_at) FROM one_time_codes WHERE user_id = '{alice.id}'"
    before = postgres.execute(used)
    mint(alice)

    assert postgres.execute(used) == before != [(None,)]


def test_the_database_does_not_contain_the_codes(alice, mint, sign_up, postgres):
    created = [OneTimeCode.parse(mint(alice)), OneTimeCode.parse(mint(alice, "change_email")), OneTimeCode.parse(sign_up()[1])]
    dump = postgres.dump()

    for code in created:
        assert code.hash.hex() in dump
        assert not any(form in dump for form in (str(code), code.secret.hex(), base64.b64encode(code.secret).decode()))


def test_a_secret_has_128_random_bits(alice):
    secrets = {OneTimeCode.new(alice.id).secret for _ in range(1_000)}

    assert len(secrets) == 1_000
    assert {len(secret) * 8 for secret in secrets} == {128}
