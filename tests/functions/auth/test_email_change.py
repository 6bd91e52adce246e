import secrets
from datetime import timedelta

import pytest

from parley.auth.one_time_codes import OneTimeCode
from parley.db.accounts import one_time_codes, users
from parley.db.transactions import user_scope
from parley.jobs import AccountNotice, ChangeEmail
from tests.support.api_gateway import PASSWORD


@pytest.fixture
def new_email():
    return f"{secrets.token_hex(6)}@example.com"


def ask(auth, person, new_email, password=PASSWORD):
    return auth.post("/auth/email", {"password": password, "new_email": new_email}, as_=person)


def code_for(engine, person, new_email):
    created = OneTimeCode.new(person.id)
    with user_scope(engine, person.id) as connection:
        one_time_codes.add(
            connection, created.hash, user_id=person.id, purpose="change_email", lifetime=timedelta(minutes=10), new_email=new_email
        )
    return str(created)


def confirm(auth, person, code):
    return auth.post("/auth/email/confirm", {"code": code}, as_=person)


def test_requesting_a_change_queues_a_code_and_changes_nothing(auth, alice, new_email, queued):
    assert ask(auth, alice, new_email).status == 202

    assert queued() == [ChangeEmail(alice.id, new_email)]
    assert auth.get("/auth/me", as_=alice).json["email"] == alice.email


def test_requesting_a_change_needs_the_password(auth, alice, new_email, queued):
    assert ask(auth, alice, new_email, password="not the pass phrase").json["code"] == "wrong_password"

    assert queued() == []


def test_the_code_changes_the_address_and_notifies_the_old_one(auth, engine, alice, new_email, queued):
    assert confirm(auth, alice, code_for(engine, alice, new_email)).status == 204

    assert auth.post("/auth/login", {"email": new_email, "password": PASSWORD}).status == 200
    assert auth.post("/auth/login", {"email": alice.email, "password": PASSWORD}).status == 401
    assert queued() == [AccountNotice("email_changed", to=alice.email)]


def test_a_reset_waits_for_a_change_of_the_address(auth, engine, alice, new_email, change_password_after):
    changes = change_password_after(users, "change_email")

    assert confirm(auth, alice, code_for(engine, alice, new_email)).status == 204
    assert changes == []


def test_an_address_taken_in_the_meantime_stays_with_its_owner(auth, engine, alice, bob):
    answer = confirm(auth, alice, code_for(engine, alice, bob.email))

    assert (answer.status, answer.json["code"]) == (409, "email_taken")
    assert auth.get("/auth/me", as_=alice).json["email"] == alice.email


def test_another_users_code_changes_nothing(auth, engine, alice, bob, new_email):
    assert confirm(auth, bob, code_for(engine, alice, new_email)).json["code"] == "invalid_code"


def test_a_code_works_once(auth, engine, alice, new_email):
    code = code_for(engine, alice, new_email)
    confirm(auth, alice, code)

    assert confirm(auth, alice, code).json["code"] == "invalid_code"


def test_a_change_to_an_address_that_could_not_register_is_refused(auth, alice, set_registration_policy, queued):
    set_registration_policy(domains="example.org")

    assert ask(auth, alice, "alice@example.com").json["code"] == "email_domain_refused"
    assert ask(auth, alice, "alice@example.org").status == 202
    assert queued() == [ChangeEmail(alice.id, "alice@example.org")]
