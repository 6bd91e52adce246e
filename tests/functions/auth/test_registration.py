import secrets
from datetime import timedelta
from uuid import UUID

import pytest

from parley.auth.key_cache import KeyCache
from parley.auth.one_time_codes import OneTimeCode
from parley.db.accounts import signups
from parley.db.transactions import global_scope
from parley.errors import Unavailable
from parley.jobs import SignUp
from tests.functions.auth.conftest import ADMIN
from tests.support.api_gateway import PASSWORD
from tests.support.concurrency import TimedRequest


def address():
    return f"{secrets.token_hex(6)}@example.com"


def register(auth, email=None, **fields):
    return auth.post("/auth/register", {"email": email or address(), "password": PASSWORD} | fields)


def mailed_code(engines, signup_id):
    """Store a code for the sign-up, as upkeep does before mailing it."""
    code = OneTimeCode.new(signup_id)
    with global_scope(engines["background"]) as connection:
        signups.set_code(connection, signup_id, code.hash, lifetime=timedelta(hours=1))
    return str(code)


def signed_up(auth, queued, engines, **fields):
    email = address()
    assert register(auth, email, **fields).status == 202
    (message,) = queued()
    return email, mailed_code(engines, message.signup_id)


def test_a_closed_deployment_accepts_no_registration(auth, set_registration_policy):
    set_registration_policy(registration="closed")

    assert (register(auth).status, register(auth).json["code"]) == (403, "registration_closed")


def test_only_allowed_domains_may_register(auth, set_registration_policy):
    set_registration_policy(domains="example.org, Example.net")

    assert register(auth, f"{secrets.token_hex(4)}@example.net").status == 201
    assert register(auth).json["code"] == "email_domain_refused"


def test_the_admins_address_may_always_register_and_becomes_an_admin(auth, set_registration_policy, postgres):
    postgres.execute(f"DELETE FROM users WHERE email = '{ADMIN}'", dbname="parley")
    set_registration_policy(registration="closed", domains="example.org")

    assert register(auth, ADMIN).json["user"]["role"] == "admin"


def invite(auth, admin, **fields):
    return auth.post("/admin/invites", fields, as_=admin).json["invite"]


def test_an_invite_makes_one_account(auth, set_registration_policy, admin):
    set_registration_policy(registration="invite")
    code = invite(auth, admin)

    assert register(auth, invite=code).status == 201
    assert register(auth, invite=code).json["code"] == "invalid_invite"


@pytest.mark.parametrize("code", [None, "", "x", pytest.param(str(OneTimeCode.new(UUID(int=1))), id="well formed")])
def test_without_a_valid_invite_registration_is_refused(auth, set_registration_policy, code):
    set_registration_policy(registration="invite")

    assert register(auth, invite=code).json["code"] == "invalid_invite"


def test_an_invite_for_an_address_fits_only_that_address(auth, set_registration_policy, admin):
    set_registration_policy(registration="invite")
    email = address()
    code = invite(auth, admin, email=email)

    assert register(auth, invite=code).status == 403
    assert register(auth, email, invite=code).status == 201


def test_a_withdrawn_invite_is_refused(auth, set_registration_policy, admin):
    set_registration_policy(registration="invite")
    created = auth.post("/admin/invites", {}, as_=admin).json
    assert auth.delete(f"/admin/invites/{created['id']}", as_=admin).status == 204

    assert register(auth, invite=created["invite"]).status == 403


def test_with_verification_known_and_unknown_addresses_look_the_same(auth, set_registration_policy, queued, alice):
    set_registration_policy(verifies_email=True)
    known, unknown = register(auth, alice.email), register(auth)

    assert (known.status, known.json) == (unknown.status, unknown.json) == (202, {"status": "verification_sent"})
    assert [type(message) for message in queued()] == [SignUp, SignUp]


def test_the_mailed_code_creates_the_account(auth, set_registration_policy, queued, engines):
    set_registration_policy(verifies_email=True)
    email, code = signed_up(auth, queued, engines, display_name="Ada")
    answer = auth.post("/auth/verify", {"email": email, "code": code})

    assert (answer.status, answer.json["user"]["email"], answer.json["user"]["display_name"]) == (200, email, "Ada")
    assert auth.post("/auth/login", {"email": email, "password": PASSWORD}).status == 200


def test_without_the_code_there_is_no_account(auth, set_registration_policy, queued, engines):
    set_registration_policy(verifies_email=True)
    email, _ = signed_up(auth, queued, engines)

    assert auth.post("/auth/login", {"email": email, "password": PASSWORD}).json["code"] == "invalid_credentials"


def test_a_code_works_once_and_only_for_its_address(auth, set_registration_policy, queued, engines):
    set_registration_policy(verifies_email=True)
    email, code = signed_up(auth, queued, engines)

    assert auth.post("/auth/verify", {"email": address(), "code": code}).json["code"] == "invalid_code"
    assert auth.post("/auth/verify", {"email": email, "code": code}).status == 200
    assert auth.post("/auth/verify", {"email": email, "code": code}).json["code"] == "invalid_code"


def test_a_sign_up_waits_for_its_mail_for_an_hour(auth, set_registration_policy, postgres):
    set_registration_policy(verifies_email=True)
    register(auth, email := address())
    left = f"SELECT round(extract(epoch FROM expires_at - now()) / 60)::int FROM signups WHERE email = '{email}'"

    assert postgres.execute(left, dbname="parley") == [(60,)]


def test_an_expired_code_is_refused(auth, set_registration_policy, queued, engines, postgres):
    set_registration_policy(verifies_email=True)
    email, code = signed_up(auth, queued, engines)
    postgres.execute(f"UPDATE signups SET expires_at = now() WHERE email = '{email}'", dbname="parley")

    assert auth.post("/auth/verify", {"email": email, "code": code}).status == 422


def test_a_code_for_an_address_taken_in_the_meantime_is_refused(auth, set_registration_policy, queued, engines):
    set_registration_policy(verifies_email=True)
    email, code = signed_up(auth, queued, engines)
    set_registration_policy()
    assert register(auth, email).status == 201

    assert auth.post("/auth/verify", {"email": email, "code": code}).json["code"] == "invalid_code"


def test_after_three_mails_the_response_is_the_same_without_a_mail(auth, set_registration_policy, queued):
    set_registration_policy(verifies_email=True)
    email = address()
    answers = [register(auth, email).status for _ in range(5)]

    assert (answers, len(queued())) == ([202] * 5, 3)


def test_the_code_uses_up_the_invite_not_the_sign_up(auth, set_registration_policy, admin, queued, engines):
    set_registration_policy(registration="invite", verifies_email=True)
    code = invite(auth, admin)
    people = [signed_up(auth, queued, engines, invite=code) for _ in range(2)]
    answers = [auth.post("/auth/verify", {"email": email, "code": mailed}) for email, mailed in people]

    assert [answer.status for answer in answers] == [200, 403]


def test_an_outage_of_the_keys_costs_no_invite(auth, set_registration_policy, admin, monkeypatch):
    set_registration_policy(registration="invite")
    ticket, email = invite(auth, admin), address()
    with monkeypatch.context() as outage:
        outage.setattr(KeyCache, "__call__", raiser(Unavailable("key store")))
        assert register(auth, email, invite=ticket).status == 503

    assert register(auth, email, invite=ticket).status == 201


def raiser(error):
    def fail(*_):
        raise error

    return fail


def test_with_two_sign_ups_for_an_address_the_password_tells_whose_code_it_is(auth, set_registration_policy, queued, engines):
    set_registration_policy(verifies_email=True)
    email = address()
    register(auth, email, password="the stranger's own long sentence")
    register(auth, email)
    strangers, own = (mailed_code(engines, message.signup_id) for message in queued())
    tries = [{"code": strangers}, {"code": strangers, "password": PASSWORD}, {"code": own, "password": PASSWORD}]
    answers = [auth.post("/auth/verify", {"email": email} | given) for given in tries]

    assert [answer.json.get("code") for answer in answers] == ["password_needed", "invalid_code", None]
    assert auth.post("/auth/login", {"email": email, "password": PASSWORD}).status == 200


def test_a_stranger_cannot_exhaust_the_mails_of_an_address(auth, set_registration_policy, queued):
    set_registration_policy(verifies_email=True)
    email = address()
    for _ in range(5):
        auth.invoke(TimedRequest("POST", "/auth/register", {"email": email, "password": PASSWORD}, address="203.0.113.9").event())
    queued()
    register(auth, email)

    assert len(queued()) == 1
