"""The database fails in the middle of a request: what is committed is shown, and a browser comes back to the page."""

import psycopg
import pytest
from sqlalchemy import event

from functions.auth import login, registration
from functions.auth.oidc import login as oidc_login
from functions.auth.passwords import Passwords
from parley.db.accounts import audit
from parley.db.groups import membership
from parley.jobs import AccountNotice
from tests.functions.auth.authenticator import Authenticator
from tests.functions.auth.test_passkeys import add, begin
from tests.functions.auth.test_registration import signed_up
from tests.functions.auth.test_second_factor import Authenticator as App
from tests.support.api_gateway import PASSWORD


@pytest.fixture
def outage_after(auth, monkeypatch):
    """Return a function: after the next call of `outage_after(audit, "add")`, a role, by default the background's, finds no database."""
    from functions.auth.app import services

    engines = []

    def refuse(*_):
        raise psycopg.OperationalError("connection refused")

    def begin_after(module, name, *, engine=services.background):
        function = getattr(module, name)

        def call_and_fail(*args, **options):
            result = function(*args, **options)
            monkeypatch.setattr(module, name, function)
            engine.dispose()
            event.listen(engine, "do_connect", refuse)
            engines.append(engine)
            return result

        monkeypatch.setattr(module, name, call_and_fail)

    yield begin_after
    for engine in engines:
        event.remove(engine, "do_connect", refuse)


def test_a_new_api_key_is_shown_and_announced(auth, alice, queued, outage_after):
    outage_after(audit, "add")
    answer = auth.post("/auth/api-keys", {"name": "ci", "password": PASSWORD}, as_=alice)

    assert (answer.status, answer.json["key"][:7]) == (201, "parley_")
    assert queued() == [AccountNotice("new_api_key", to=alice.email)]


def test_recovery_codes_are_shown(auth, alice, clock, queued, outage_after):
    app = App(auth, alice, clock)
    outage_after(audit, "add")

    assert len(app.confirm(app.code()).json["recovery_codes"]) == 10
    assert queued() == [AccountNotice("second_factor_on", to=alice.email)]


def test_a_new_passkey_is_reported(auth, alice, queued, outage_after):
    options = begin(auth, alice)
    outage_after(audit, "add")

    assert add(auth, alice, Authenticator(), options).status == 201
    assert queued() == [AccountNotice("new_passkey", to=alice.email)]


def test_the_inviter_learns_that_no_mail_was_sent(group, alice, set_member, queued, outage_after):
    outage_after(membership, "invite")
    answer = set_member(group, "newcomer@example.com", as_=alice)

    assert (answer.status, answer.json, queued()) == (200, {"mailed": False}, [])


def test_a_mailed_code_logs_its_user_in(auth, set_registration_policy, queued, engines, outage_after):
    set_registration_policy(verifies_email=True)
    email, code = signed_up(auth, queued, engines)
    outage_after(registration, "start_session")

    assert auth.post("/auth/verify", {"email": email, "code": code}).status == 200


def test_a_browser_that_begins_a_login_at_an_issuer_comes_back_to_the_page(auth, browser, outage_after):
    outage_after(oidc_login, "count_attempt")
    answer = auth.get("/auth/oidc/corp/start")

    assert (answer.status, answer.headers["location"]) == (303, "/prod/#/sign-in/unavailable")


def test_a_login_whose_hash_cannot_be_renewed_succeeds(auth, alice, change_services, outage_after):
    from functions.auth.app import services

    change_services(passwords=Passwords(min_length=12, memory_kib=16, passes=2))
    outage_after(login, "start_session", engine=services.engine)

    assert auth.post("/auth/login", {"email": alice.email, "password": PASSWORD}).status == 200
