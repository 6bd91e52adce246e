"""An admin ends the sessions of one user or of everybody."""

from uuid import uuid4

import pytest

from functions.auth import admin as administration_of_accounts
from parley.auth.client_origin import ClientOrigin
from parley.db.accounts import administration, authorization_codes
from tests.fakes.oauth_client import OAuthApp, parameters_of
from tests.functions.auth.refresh_tokens import refresh
from tests.support.api_gateway import PASSWORD, Person

ORIGIN = ClientOrigin("192.0.2.9")


def end(auth, admin, person, **body):
    return auth.delete(f"/admin/users/{person.id}/sessions", body=body, as_=admin)


def end_all(auth, admin, **body):
    return auth.delete("/admin/sessions", body={"password": PASSWORD} | body, as_=admin)


def status(auth, person):
    return auth.get("/auth/me", as_=person).status


def api_key(auth, person):
    made = auth.post("/auth/api-keys", {"name": "script", "scopes": ["chat"], "password": PASSWORD}, as_=person)
    assert made.status == 201
    return made.json["id"]


def live_keys(auth, person):
    return [key["id"] for key in auth.get("/auth/api-keys", as_=person).json["items"]]


def test_all_sessions_of_one_user_end_and_nobody_elses(auth, admin, alice, bob):
    second = Person.signed_in(auth, alice.email)

    assert end(auth, admin, alice).json == {"users": 1, "sessions": 2, "api_keys": 0}
    assert [status(auth, person) for person in (alice, second, bob, admin)] == [401, 401, 200, 200]
    assert refresh(auth, second.tokens["refresh_token"]).status == 401


def test_a_user_whose_sessions_ended_can_log_in_again(auth, admin, alice):
    end(auth, admin, alice)

    assert status(auth, Person.signed_in(auth, alice.email)) == 200


def test_the_api_keys_of_one_user_stay_unless_they_are_asked_for(auth, admin, alice, bob):
    keys = [api_key(auth, person) for person in (alice, bob)]
    assert end(auth, admin, alice).json["api_keys"] == 0
    again = Person.signed_in(auth, alice.email)
    assert live_keys(auth, again) == keys[:1]

    assert end(auth, admin, again, revoke_api_keys=True).json == {"users": 1, "sessions": 1, "api_keys": 1}
    assert (live_keys(auth, Person.signed_in(auth, alice.email)), live_keys(auth, bob)) == ([], keys[1:])


def test_an_admin_who_ends_their_own_sessions_keeps_the_one_that_asks(auth, admin):
    other = Person.signed_in(auth, admin.email)

    assert end(auth, admin, admin).json["sessions"] == 2
    assert [status(auth, person) for person in (admin, other)] == [200, 401]


def test_a_user_without_a_session_loses_none(auth, admin, alice):
    end(auth, admin, alice)

    assert end(auth, admin, alice).json == {"users": 0, "sessions": 0, "api_keys": 0}


def test_the_sessions_of_an_unknown_account_are_not_found(auth, admin):
    assert auth.delete(f"/admin/users/{uuid4()}/sessions", as_=admin).status == 404


def test_everybodys_sessions_end_but_the_one_that_asks(auth, admin, alice, bob):
    ended = end_all(auth, admin).json

    assert ended["users"] >= 3, "both users, and the other session of the admin"
    assert ended["sessions"] >= 3
    assert [status(auth, person) for person in (alice, bob, admin)] == [401, 401, 200]
    assert end_all(auth, admin).json == {"users": 0, "sessions": 0, "api_keys": 0}


def test_everybodys_api_keys_stay_unless_they_are_asked_for(auth, admin, alice):
    key = api_key(auth, alice)
    assert end_all(auth, admin).json["api_keys"] == 0
    assert live_keys(auth, Person.signed_in(auth, alice.email)) == [key]

    assert end_all(auth, admin, revoke_api_keys=True).json["api_keys"] >= 1
    assert live_keys(auth, Person.signed_in(auth, alice.email)) == []


@pytest.mark.parametrize(("password", "refusal"), [("not-the-password", (403, "wrong_password")), (None, (422, "login_too_old"))])
def test_without_the_admins_password_nobodys_session_ends(auth, admin, alice, password, refusal):
    refused = end_all(auth, admin, password=password)

    assert (refused.status, refused.json["code"]) == refusal
    assert status(auth, alice) == 200


def test_the_act_is_in_the_audit_of_each_user_and_of_the_deployment(auth, admin, alice):
    end_all(auth, admin, revoke_api_keys=True)
    again = Person.signed_in(auth, alice.email)
    own = {event["event"]: event["detail"] for event in auth.get("/auth/audit", as_=again).json["items"]}
    (of_account,) = auth.get(f"/admin/audit?account_id={alice.id}&action=sessions_ended_by_admin", as_=admin).json["items"]
    (of_all,) = auth.get(f"/admin/audit?actor_id={admin.id}&action=all_sessions_ended", as_=admin).json["items"]

    assert own["sessions_ended_by_admin"] == of_account["detail"] == {"sessions": 1, "api_keys_revoked": 0}
    assert (of_account["actor"], of_account["actor_id"]) == ("admin", str(admin.id))
    assert of_all["account_id"] is None
    assert of_all["detail"]["sessions"] >= of_all["detail"]["users"] >= 2


def test_the_session_of_a_consent_at_the_same_moment_ends_too(auth, admin, alice, elsewhere, beside):
    client, options = OAuthApp.registered(auth), {"password": PASSWORD, "revoke_api_keys": False, "origin": ORIGIN}
    ended = beside(authorization_codes, "add", administration_of_accounts.end_all_sessions, elsewhere, admin.principal, **options)
    consent = client.consent(alice)
    ended()

    assert consent.status == 200
    assert client.exchange(parameters_of(consent.json["redirect_to"])["code"]).json["error"] == "invalid_grant"


def test_an_admin_who_is_demoted_meanwhile_ends_nobodys_session(auth, admin, alice, postgres, monkeypatch):
    reauthenticate = administration_of_accounts.reauthenticate

    def demote_and_go_on(*args, **options):
        postgres.execute(f"UPDATE users SET role = 'user' WHERE id = '{admin.id}'", dbname="parley")
        return reauthenticate(*args, **options)

    monkeypatch.setattr(administration_of_accounts, "reauthenticate", demote_and_go_on)

    assert end_all(auth, admin).status == 403
    assert status(auth, alice) == 200


def test_an_expired_session_is_not_counted(auth, admin, alice, postgres):
    postgres.execute(f"UPDATE sessions SET expires_at = now() - interval '1 second' WHERE user_id = '{alice.id}'", dbname="parley")

    assert end(auth, admin, alice).json["sessions"] == 0


def test_two_admins_who_end_the_same_sessions_at_once_both_succeed(auth, admin, alice, elsewhere, beside):
    options = {"password": PASSWORD, "revoke_api_keys": True, "origin": ORIGIN}
    second = beside(administration, "end_access", administration_of_accounts.end_all_sessions, elsewhere, admin.principal, **options)
    first = end_all(auth, admin)

    assert (first.status, second()) == (200, [])
