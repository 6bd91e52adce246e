"""Requests that meet in one account: they lock its rows in one order, and whatever ends all sessions ends those that start meanwhile.

In each test, a request stops with its locks held until the other one waits for them.
"""

import secrets
from datetime import timedelta
from uuid import UUID

import pytest

from functions.auth import account
from functions.auth.errors import InvalidCredentials
from functions.auth.login import log_in
from functions.auth.oidc import accounts as oidc_accounts
from functions.auth.oidc.id_tokens import LogoutToken
from functions.auth.passkeys import passkeys as own_passkeys
from functions.auth.second_factor import totp
from parley.auth.client_origin import ClientOrigin
from parley.clock import utc_now
from parley.db.accounts import authorization_codes, login_throttle, oidc, one_time_codes, passkeys, second_factors, sessions, users
from parley.db.transactions import user_scope
from tests.fakes.oauth_client import OAuthApp, parameters_of
from tests.fakes.oidc_issuer import refresh_token_of
from tests.functions.auth import test_passkeys, test_second_factor
from tests.functions.auth.authenticator import Authenticator
from tests.functions.auth.conftest import NEW
from tests.functions.auth.refresh_tokens import refresh
from tests.functions.auth.scim.provider import Provider
from tests.support.api_gateway import PASSWORD, Person

ORIGIN = ClientOrigin("192.0.2.9")
LIFETIME = timedelta(minutes=10)


def login(auth, person, password):
    return auth.post("/auth/login", {"email": person.email, "password": password}).status


def test_a_change_of_the_address_beside_a_reset_is_refused(auth, alice, reset, code_of, beside):
    code = code_of("change_email", new_email=f"{secrets.token_hex(6)}@example.com")
    confirmed = beside(one_time_codes, "redeem", auth.post, "/auth/email/confirm", {"code": code}, as_=alice)
    reset()

    assert confirmed().status == 401
    assert login(auth, alice, NEW) == 200


def test_the_provider_changes_an_address_after_a_reset_at_the_same_moment(auth, admin, alice, reset, beside):
    provider = Provider(auth, auth.post("/admin/scim-token", as_=admin).json["token"])
    body = {"userName": f"{secrets.token_hex(6)}@example.com"}
    changed = beside(one_time_codes, "redeem", provider.call, "PUT", f"/Users/{alice.id}", body)
    reset()

    assert (changed().status, login(auth, alice, NEW)) == (200, 401)


def test_a_reset_waits_for_the_removal_of_a_second_factor(auth, alice, clock, reset, beside):
    app = test_second_factor.Authenticator(auth, alice, clock)
    assert app.confirm(app.code()).status == 200
    finished = beside(second_factors, "advance", reset)

    assert auth.delete("/auth/second-factor", body={"password": PASSWORD, "code": app.code()}, as_=alice).status == 204
    finished()
    assert login(auth, alice, NEW) == 200


def test_a_second_factor_is_not_removed_by_a_session_that_a_reset_ends(auth, alice, clock, reset, beside, code_of, engine):
    app = test_second_factor.Authenticator(auth, alice, clock)
    assert app.confirm(app.code()).status == 200
    with user_scope(engine, alice.id) as connection:
        users.set_verified_email(connection, alice.id, alice.email)
    body = {"password": PASSWORD, "code": app.code()}
    removed = beside(users, "set_password_hash", auth.delete, "/auth/second-factor", body=body, as_=alice)
    reset()

    assert removed().status == 401
    assert login(auth, alice, NEW) == 202


def test_of_two_removals_of_a_second_factor_by_recovery_codes_the_second_is_refused(auth, alice, clock, elsewhere, beside):
    app = test_second_factor.Authenticator(auth, alice, clock)
    first, second, *_ = app.confirm(app.code()).json["recovery_codes"]
    by_second = {"password": PASSWORD, "code": second, "origin": ORIGIN}
    removed = beside(second_factors, "use_recovery_code", totp.remove, elsewhere, alice.principal, **by_second)

    assert auth.delete("/auth/second-factor", body={"password": PASSWORD, "code": first}, as_=alice).status == 204
    with pytest.raises(totp.InvalidSecondFactor):
        removed()


def test_a_login_that_began_before_an_enrolment_starts_no_session_after_it(auth, alice, clock, elsewhere, beside):
    app = test_second_factor.Authenticator(auth, alice, clock)
    credentials = {"email": alice.email, "password": PASSWORD}
    logged_in = beside(second_factors, "confirm", log_in, elsewhere, **credentials, origin=ORIGIN)

    assert app.confirm(app.code()).status == 200
    with pytest.raises(InvalidCredentials):
        logged_in()


def test_an_enrolment_ends_the_session_of_a_login_at_the_same_moment(auth, alice, clock, elsewhere, beside):
    app = test_second_factor.Authenticator(auth, alice, clock)
    confirmed = beside(sessions, "start_session", totp.confirm, elsewhere, alice.principal, code=app.code(), origin=ORIGIN)
    thief = Person.signed_in(auth, alice.email)

    assert len(confirmed()) == totp.RECOVERY_CODES
    assert [auth.get("/auth/me", as_=person).status for person in (thief, alice)] == [401, 200]


def test_a_reset_waits_for_the_removal_of_a_passkey(auth, alice, reset, beside):
    assert test_passkeys.add(auth, alice, Authenticator()).status == 201
    passkey = auth.get("/auth/passkeys", as_=alice).json["items"][0]["id"]
    finished = beside(login_throttle, "reset", reset)

    assert auth.delete(f"/auth/passkeys/{passkey}", body={"password": PASSWORD}, as_=alice).status == 204
    finished()
    assert login(auth, alice, NEW) == 200


def test_a_passkey_is_not_removed_by_a_session_that_a_reset_ends(auth, alice, reset, beside, code_of, engine):
    assert test_passkeys.add(auth, alice, Authenticator()).status == 201
    passkey = auth.get("/auth/passkeys", as_=alice).json["items"][0]["id"]
    with user_scope(engine, alice.id) as connection:
        users.set_verified_email(connection, alice.id, alice.email)
    removed = beside(users, "set_password_hash", auth.delete, f"/auth/passkeys/{passkey}", body={"password": PASSWORD}, as_=alice)
    reset()

    assert removed().status == 401
    assert len(auth.get("/auth/passkeys", as_=Person.signed_in(auth, alice.email, password=NEW)).json["items"]) == 1


def test_a_login_by_a_passkey_that_is_removed_at_the_same_moment_reports_no_copy(auth, alice, elsewhere, beside):
    device = Authenticator()
    passkey = test_passkeys.add(auth, alice, device).json["id"]
    logged_in = beside(passkeys, "remove", test_passkeys.sign_in, auth, device, test_passkeys.sign_in_options(auth))
    own_passkeys.remove(elsewhere, alice.principal, UUID(passkey), password=PASSWORD, origin=ORIGIN)

    assert logged_in().status == 403
    assert "passkey_cloned" not in str(auth.get("/auth/audit", as_=alice).json)


def test_a_session_that_a_reset_ends_logs_nobody_out(auth, alice, reset, beside):
    logged_out = beside(users, "set_password_hash", auth.post, "/auth/logout", {"everywhere": True}, as_=alice)
    reset()

    assert logged_out().status == 401


def test_a_logout_everywhere_ends_the_session_of_a_consent_at_the_same_moment(auth, alice, elsewhere, beside):
    client = OAuthApp.registered(auth)
    logged_out = beside(authorization_codes, "add", account.log_out, elsewhere, alice.principal, everywhere=True, origin=ORIGIN)
    consent = client.consent(alice)
    logged_out()

    assert consent.status == 200
    assert client.exchange(parameters_of(consent.json["redirect_to"])["code"]).json["error"] == "invalid_grant"


def test_the_issuers_logout_ends_the_session_of_a_consent_at_the_same_moment(auth, issuer, configure, browser, elsewhere, beside):
    user = Person.of(issuer.person["email"], refresh(auth, refresh_token_of(browser.sign_in())).json)
    client, token = OAuthApp.registered(auth), LogoutToken("a", issuer.person["sub"], None, utc_now() + LIFETIME)
    logged_out = beside(authorization_codes, "add", oidc_accounts.end_sessions, elsewhere, configure().find("corp").issuer, token)
    consent = client.consent(user)

    assert (consent.status, logged_out()) == (200, 2)
    assert client.exchange(parameters_of(consent.json["redirect_to"])["code"]).json["error"] == "invalid_grant"


def test_the_logout_of_an_issuers_session_ends_that_of_a_login_at_the_same_moment(auth, issuer, configure, browser, elsewhere, beside):
    token = LogoutToken("a", None, issuer.person["sid"], utc_now() + LIFETIME)
    logged_out = beside(oidc, "start_session", oidc_accounts.end_sessions, elsewhere, configure().find("corp").issuer, token)
    late = refresh_token_of(browser.sign_in())

    assert logged_out() == 1
    assert refresh(auth, late).status == 401
