"""A deployment that demands a second factor of every user: enrolment is all that a session without one may do."""

from dataclasses import replace

import pytest

from parley.db.transactions import user_scope
from tests.fakes.oauth_client import OAuthApp
from tests.fakes.oidc_issuer import refresh_token_of
from tests.functions.auth import test_second_factor as second_factor
from tests.functions.auth.authenticator import Authenticator
from tests.functions.auth.refresh_tokens import refresh
from tests.functions.auth.test_email_change import ask, code_for, confirm
from tests.functions.auth.test_oidc import CHALLENGE, LOOPBACK, VERIFIER
from tests.functions.auth.test_passkeys import add, sign_in, store
from tests.support.api_gateway import PASSWORD, Person
from tests.support.time_limits import HANG_S

NEEDED, PASSKEY_NEEDED = (403, "second_factor_needed"), (403, "passkey_needed")


def problem(answer):
    return answer.status, answer.json["code"]


@pytest.fixture
def demand(auth, change_services):
    """Return a function that demands a second factor of these from now on."""
    from functions.auth.app import services

    def begin(*, users=True, admins=False):
        change_services(lifetimes=replace(services.lifetimes, users_need_factor=users, admins_need_factor=admins))

    return begin


@pytest.fixture
def demanded(demand):
    """A deployment that demands a second factor of everybody."""
    demand()


@pytest.fixture
def weak(auth, demanded):
    """A user of this deployment who has registered."""
    return Person.registered(auth)


def renewed(auth, person):
    return Person.of(person.email, refresh(auth, person.tokens["refresh_token"]).json)


def test_a_new_user_may_only_add_a_second_factor(auth, conversation, weak):
    assert (weak.claims["scope"], weak.tokens["needs_second_factor"]) == ("enrolment", True)
    assert auth.get("/auth/me", as_=weak).json["email"] == weak.email
    assert problem(conversation.get("/conversations", as_=weak)) == NEEDED
    assert problem(auth.post("/auth/me/exports", as_=weak)) == NEEDED
    assert problem(auth.post("/auth/api-keys", {"name": "key", "password": PASSWORD}, as_=weak)) == NEEDED


def test_a_session_has_all_rights_once_its_user_has_confirmed_an_app(auth, conversation, weak, clock):
    app = second_factor.Authenticator(auth, weak, clock)
    app.confirm(app.code())
    strong = renewed(auth, weak)

    assert strong.tokens["needs_second_factor"] is False
    assert conversation.get("/conversations", as_=strong).status == 200
    assert conversation.get("/conversations", as_=Person.of(weak.email, app.log_in(app.code()).json)).status == 200


def test_a_passkey_signs_in_with_all_rights_and_the_password_beside_it_does_not(auth, conversation, weak):
    device = Authenticator()
    assert add(auth, weak, device).status == 201
    strong = Person.of(weak.email, sign_in(auth, device).json)

    assert conversation.get("/conversations", as_=strong).status == 200
    assert problem(conversation.get("/conversations", as_=Person.signed_in(auth, weak.email))) == NEEDED


def test_a_session_from_before_the_demand_is_asked_at_its_next_refresh(auth, conversation, alice, demand):
    demand()

    assert problem(conversation.get("/conversations", as_=renewed(auth, alice))) == NEEDED


def test_the_demand_includes_admins(auth, admin, demanded):
    weak = Person.signed_in(auth, admin.email)

    assert weak.claims["scope"] == "enrolment"
    assert problem(auth.get("/admin/users", as_=weak)) == NEEDED


def test_a_login_at_an_issuer_counts_as_a_second_factor(auth, conversation, browser, issuer, demanded):
    tokens = refresh(auth, refresh_token_of(browser.sign_in())).json
    strong = Person.of(issuer.person["email"], tokens)

    assert tokens["needs_second_factor"] is False
    assert conversation.get("/conversations", as_=strong).status == 200


def test_a_programs_login_at_an_issuer_counts_as_a_second_factor(auth, conversation, browser, issuer, demanded):
    browser.start(redirect_uri=LOOPBACK, code_challenge=CHALLENGE)
    code = browser.finish().headers["location"].removeprefix(f"{LOOPBACK}?code=")
    tokens = auth.post("/auth/oidc/token", {"code": code, "code_verifier": VERIFIER}).json

    assert tokens["needs_second_factor"] is False
    assert conversation.get("/conversations", as_=Person.of(issuer.person["email"], tokens)).status == 200


@pytest.fixture
def keeper(auth, demand, request):
    """A session by the password alone, of somebody with a passkey. `demand` says of whom a second factor is demanded."""
    users, role = request.param
    person = request.getfixturevalue(role)
    assert add(auth, person, Authenticator()).status == 201
    demand(users=users, admins=not users)
    return Person.signed_in(auth, person.email)


KEEPERS = pytest.mark.parametrize("keeper", [(True, "alice"), (True, "admin"), (False, "admin")], indirect=True)


@KEEPERS
def test_the_password_alone_adds_nothing_beside_a_passkey(auth, keeper):
    assert problem(auth.post("/auth/second-factor", {"password": PASSWORD}, as_=keeper)) == PASSKEY_NEEDED
    assert problem(auth.post("/auth/passkeys/begin", {"password": PASSWORD}, as_=keeper)) == PASSKEY_NEEDED


@pytest.mark.parametrize("keeper", [(False, "admin")], indirect=True)
def test_the_password_alone_removes_no_passkey_of_an_admin_who_needs_it(auth, keeper):
    passkey = auth.get("/auth/passkeys", as_=keeper).json["items"][0]["id"]

    assert problem(auth.delete(f"/auth/passkeys/{passkey}", body={"password": PASSWORD}, as_=keeper)) == PASSKEY_NEEDED


@pytest.mark.parametrize("keeper", [(False, "admin")], indirect=True)
def test_the_password_alone_moves_no_admin_to_another_address(auth, engine, keeper):
    address = f"x{keeper.email}"
    code = code_for(engine, keeper, address)

    assert problem(ask(auth, keeper, address)) == PASSKEY_NEEDED
    assert problem(confirm(auth, keeper, code)) == PASSKEY_NEEDED
    assert auth.get("/auth/me", as_=keeper).json["email"] == keeper.email


@KEEPERS
def test_a_deployment_that_gave_up_passkeys_asks_for_none(auth, keeper, clock, change_services):
    change_services(relying_party=None)
    app = second_factor.Authenticator(auth, keeper, clock)

    assert app.confirm(app.code()).status == 200


@pytest.mark.parametrize("demands", [{"users": True}, {"users": False, "admins": True}])
def test_an_app_that_was_begun_before_a_passkey_is_not_confirmed_after_it(auth, admin, demand, clock, demands):
    demand(**demands)
    thief = Person.signed_in(auth, admin.email)
    app = second_factor.Authenticator(auth, thief, clock)
    assert add(auth, Person.signed_in(auth, admin.email), Authenticator()).status == 201

    assert problem(app.confirm(app.code())) == PASSKEY_NEEDED


def test_a_passkey_that_was_begun_before_another_is_not_added_after_it(auth, weak):
    late, options = Authenticator(), auth.post("/auth/passkeys/begin", {"password": PASSWORD}, as_=weak).json["public_key"]
    assert add(auth, weak, Authenticator()).status == 201

    assert problem(add(auth, weak, late, options)) == PASSKEY_NEEDED


def test_of_two_concurrent_first_passkeys_by_the_password_one_is_added(auth, weak, engine, start_blocked):
    options = auth.post("/auth/passkeys/begin", {"password": PASSWORD}, as_=weak).json["public_key"]
    with user_scope(engine, weak.id) as connection:
        store(connection, weak, 1)
        late = start_blocked(add, auth, weak, Authenticator(), options)

    assert problem(late.result(HANG_S)) == PASSKEY_NEEDED


def test_a_session_by_a_passkey_adds_an_app(auth, weak, clock):
    device = Authenticator()
    add(auth, weak, device)
    strong = Person.of(weak.email, sign_in(auth, device).json)
    app = second_factor.Authenticator(auth, strong, clock)

    assert app.confirm(app.code()).status == 200


def test_without_a_demand_the_password_alone_adds_an_app_beside_a_passkey(auth, alice, clock):
    add(auth, alice, Authenticator())
    app = second_factor.Authenticator(auth, alice, clock)

    assert app.confirm(app.code()).status == 200


def test_an_application_needs_the_consent_of_a_session_with_a_second_factor(auth, weak):
    assert problem(OAuthApp.registered(auth).consent(weak)) == NEEDED


def test_an_application_lives_on_only_if_a_session_with_a_second_factor_admitted_it(auth, alice, demand, clock):
    early, late = OAuthApp.registered(auth), OAuthApp.registered(auth)
    app = second_factor.Authenticator(auth, alice, clock)
    app.confirm(app.code())
    of_strong = late.tokens(alice)
    bob = Person.registered(auth)
    of_weak = early.tokens(bob)
    demand()

    assert late.refresh(of_strong["refresh_token"]).status == 200
    assert (early.refresh(of_weak["refresh_token"]).status, early.refresh(of_weak["refresh_token"]).json["error"]) == (400, "invalid_grant")
