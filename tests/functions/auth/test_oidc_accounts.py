"""The accounts of identities at an issuer: joined by a proven address only, with the issuer's role, and ended by the issuer."""

import json
from urllib.parse import parse_qsl

import pytest

from functions.auth.oidc import accounts
from functions.auth.oidc.accounts import Identity
from functions.auth.oidc.configuration import OidcIssuer, parse_issuers
from parley.db.transactions import global_scope, lock_until_end
from parley.ids import new_id
from tests.fakes.oidc_issuer import FakeIssuer, error_of, person, refresh_token_of, serving_issuer
from tests.functions.auth.refresh_tokens import refresh
from tests.support.api_gateway import PASSWORD, Person
from tests.support.concurrency import impatient


@pytest.fixture
def verify(postgres):
    """Return a function that records that a user has proven the address."""

    def verify(user):
        statement = f"UPDATE credentials SET verified_email = '{user.email}' WHERE user_id = '{user.id}'"
        postgres.execute(statement, dbname="parley")

    return verify


def user_of(auth, answer):
    """Return the user of the session that the page receives by its cookie."""
    return refresh(auth, refresh_token_of(answer)).json["user"]


def events_of(auth, user):
    return [item["event"] for item in auth.get("/auth/audit", as_=user).json["items"]]


def test_an_identity_joins_the_account_with_the_same_verified_address(auth, browser, issuer, alice, verify):
    verify(alice)
    issuer.person["email"] = alice.email.upper()

    assert user_of(auth, browser.sign_in())["id"] == str(alice.id)
    assert "identity_linked" in events_of(auth, alice)


def test_an_account_that_an_issuer_made_has_a_proven_address(auth, browser, issuer):
    first = user_of(auth, browser.sign_in())
    issuer.person["sub"] = new_id().hex

    assert user_of(auth, browser.sign_in())["id"] == first["id"]


@pytest.mark.parametrize("case", ["here", "at the issuer", "at the issuer, as text", "changed since"])
def test_an_unverified_address_joins_nothing(auth, browser, issuer, alice, verify, postgres, case):
    if case != "here":
        verify(alice)
    if case == "changed since":
        postgres.execute(f"UPDATE users SET email = 'x{alice.email}' WHERE id = '{alice.id}'", dbname="parley")
    issuer.person["email"] = f"x{alice.email}" if case == "changed since" else alice.email
    issuer.person["email_verified"] = {"at the issuer": False, "at the issuer, as text": "false"}.get(case, True)
    code = "oidc_email_unverified" if "issuer" in case else "oidc_account_exists"

    assert error_of(browser.sign_in()) == code
    assert "identity_linked" not in events_of(auth, alice)


def test_an_address_that_no_issuer_verifies_makes_no_account(browser, issuer):
    del issuer.person["email_verified"]

    assert error_of(browser.sign_in()) == "oidc_email_unverified"


def test_the_claim_that_verifies_an_address_is_configurable(browser, issuer, configure):
    configure(email_verified_claim="xms_edov")
    del issuer.person["email_verified"]
    issuer.person["xms_edov"] = "1"

    assert error_of(browser.sign_in()) == ""


def test_a_subject_of_another_issuer_is_somebody_else(auth, browser, issuer, configure):
    first = user_of(auth, browser.sign_in())
    with serving_issuer(FakeIssuer(person=person(sub=issuer.person["sub"]))) as other:
        configure(other)
        browser.id, browser.issuer = "other", other

        assert user_of(auth, browser.sign_in())["id"] != first["id"]


def test_a_disabled_account_is_not_logged_in(auth, browser, postgres):
    user = user_of(auth, browser.sign_in())
    postgres.execute(f"UPDATE users SET disabled_at = now() WHERE id = '{user['id']}'", dbname="parley")

    assert error_of(browser.sign_in()) == "account_disabled"


def test_an_identity_does_not_join_a_disabled_account(auth, browser, issuer, alice, verify, admin):
    verify(alice)
    auth.patch(f"/admin/users/{alice.id}", {"disabled": True}, as_=admin)
    issuer.person["email"] = alice.email

    assert error_of(browser.sign_in()) == "account_disabled"
    rows = auth.get(f"/admin/audit?account_id={alice.id}", as_=admin).json["items"]
    assert "identity_linked" not in [row["action"] for row in rows]


@pytest.mark.parametrize(("registration", "code"), [("closed", "registration_closed"), ("invite", "invalid_invite")])
def test_the_registration_policy_applies_to_new_accounts(browser, set_registration_policy, configure, registration, code):
    set_registration_policy(registration=registration)
    configure()

    assert error_of(browser.sign_in()) == code


def test_groups_make_an_admin_and_take_the_role_again(auth, browser, issuer, configure, admin):
    configure(groups_claim="realm_access.roles", admin_groups=["chiefs"])
    issuer.person["realm_access"] = {"roles": ["chiefs", "staff"]}
    chief = Person.of("", refresh(auth, refresh_token_of(browser.sign_in())).json)
    assert auth.get("/admin/users", as_=chief).status == 200
    roles = [chief.tokens["user"]["role"]]
    issuer.person["realm_access"] = {"roles": ["staff"]}

    assert [*roles, user_of(auth, browser.sign_in())["role"]] == ["admin", "user"]


def test_a_login_that_changes_no_role_does_not_wait_for_those_that_do(browser, configure, elsewhere, monkeypatch):
    def lock_soon(connection, name):
        with impatient(connection):
            lock_until_end(connection, name)

    monkeypatch.setattr(accounts, "lock_until_end", lock_soon)
    configure(admin_groups=["chiefs"])
    with global_scope(elsewhere.background) as connection:
        lock_until_end(connection, "admins")

        assert error_of(browser.sign_in()) == ""


def test_without_configured_groups_an_issuer_makes_no_admin(auth, browser, issuer):
    issuer.person |= {"groups": ["admin", "admins"], "role": "admin"}

    assert user_of(auth, browser.sign_in())["role"] == "user"


def test_only_members_of_the_allowed_groups_log_in(browser, issuer, configure):
    configure(allowed_groups=["staff"])

    assert error_of(browser.sign_in()) == "oidc_group_missing"
    issuer.person["groups"] = ["staff"]
    assert error_of(browser.sign_in()) == ""


@pytest.mark.parametrize(
    ("demanded", "claims", "code"),
    [
        ({"acr_values": ["1", "2"]}, {"acr": "2"}, ""),
        ({"acr_values": ["2"]}, {"acr": "1"}, "oidc_login_too_weak"),
        ({"acr_values": ["2"]}, {}, "oidc_login_too_weak"),
        ({"acr_values": ["2"]}, {"acr": ["2"]}, "oidc_login_too_weak"),
        ({"amr_values": ["mfa", "hwk"]}, {"amr": ["pwd", "mfa"]}, ""),
        ({"amr_values": ["mfa"]}, {"amr": ["pwd"]}, "oidc_login_too_weak"),
        ({"amr_values": ["mfa"]}, {"amr": "mfa"}, "oidc_login_too_weak"),
        ({"amr_values": ["mfa"]}, {"amr": [["mfa"]]}, "oidc_login_too_weak"),
        ({"amr_values": ["mfa"]}, {}, "oidc_login_too_weak"),
        ({"acr_values": ["2"], "amr_values": ["mfa"]}, {"acr": "2", "amr": ["pwd"]}, "oidc_login_too_weak"),
        ({"acr_values": ["2"], "amr_values": ["mfa"]}, {"acr": "2", "amr": ["mfa"]}, ""),
        ({}, {"acr": "0", "amr": ["pwd"]}, ""),
    ],
)
def test_a_login_is_as_strong_as_the_operator_demands(browser, issuer, configure, demanded, claims, code):
    configure(**demanded)
    issuer.person |= claims

    assert error_of(browser.sign_in()) == code


def test_the_issuer_is_asked_for_the_classes_of_logins_that_are_demanded(browser, issuer, configure):
    configure(acr_values=["2", "3"])
    browser.sign_in()

    assert issuer.asked["acr_values"] == "2 3"


def identity(groups_claim="groups", **claims):
    """Return the identity that an issuer describes by these claims."""
    issuer = OidcIssuer(id="corp", label="Corp", issuer="https://idp.example", client_id="parley", groups_claim=groups_claim)
    return Identity.of({"sub": "s"} | claims, issuer)


@pytest.mark.parametrize(
    ("claim", "claims", "groups"),
    [
        ("groups", {"groups": ["staff", 7]}, {"staff"}),
        ("groups", {"groups": "staff"}, {"staff"}),
        ("https://idp.example/groups", {"https://idp.example/groups": ["staff"]}, {"staff"}),
        ("realm.roles", {"realm": {"roles": ["staff"]}}, {"staff"}),
        ("realm.roles", {"realm": ["roles"]}, set()),
        ("groups", {}, set()),
    ],
)
def test_groups_are_read_from_a_list_a_text_or_an_object(claim, claims, groups):
    assert identity(claim, **claims).groups == groups


@pytest.mark.parametrize(("name", "shown"), [("A" * 101, "A" * 100), (" A\u202eda\n", "Ada"), ("\n", None), (7, None)])
def test_a_name_is_shown_without_control_characters_up_to_its_limit(name, shown):
    assert identity(name=name).name == shown


@pytest.mark.parametrize(("session", "kept"), [("s", "s"), ("s" * 255, "s" * 255), ("s" * 256, None), ("", None), (7, None)])
def test_an_issuers_session_is_a_text_of_up_to_255_letters(session, kept):
    assert identity(sid=session).issuer_session == kept


@pytest.mark.parametrize(
    ("verified", "is_proven"),
    [(True, True), ("true", True), ("True", True), ("1", True), (1, True), (False, False), ("no", False), (0, False), (["true"], False)],
)
def test_an_address_is_verified_by_true_or_by_1_only(verified, is_proven):
    assert (identity(email="Ada@example.com", email_verified=verified).email == "ada@example.com") is is_proven


def test_a_verified_address_that_is_none_is_no_address():
    assert identity(email="Ada", email_verified=True).email is None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("register", {"email": "new@example.com", "password": PASSWORD}),
        ("login", {"email": "new@example.com", "password": PASSWORD}),
        ("verify", {"email": "new@example.com", "code": "c"}),
        ("password/forgot", {"email": "new@example.com"}),
        ("password/reset", {"email": "new@example.com", "code": "c", "new_password": PASSWORD}),
    ],
)
def test_without_passwords_only_issuers_sign_users_in(auth, browser, configure, path, body):
    configure(passwords=False)
    answer = auth.post(f"/auth/{path}", body)

    assert (answer.status, answer.json["code"]) == (403, "password_login_off")
    assert error_of(browser.sign_in()) == ""


def test_an_account_of_an_issuer_has_no_password(auth, browser, issuer):
    browser.sign_in()

    for password in ("!", PASSWORD):
        answer = auth.post("/auth/login", {"email": issuer.person["email"], "password": password})
        assert (answer.status, answer.json["code"]) == (401, "invalid_credentials")


def test_an_account_without_a_password_acts_within_ten_minutes_of_its_login(auth, browser):
    user = Person.of("", refresh(auth, refresh_token_of(browser.sign_in())).json)

    assert auth.post("/auth/api-keys", {"name": "ci"}, as_=user).status == 201


def test_a_login_of_long_ago_counts_as_no_password(auth, browser, postgres):
    user = Person.of("", refresh(auth, refresh_token_of(browser.sign_in())).json)
    postgres.execute(f"UPDATE sessions SET created_at = now() - interval '10 minutes' WHERE user_id = '{user.id}'", dbname="parley")
    answer = auth.delete("/auth/me", body={}, as_=user)

    assert (answer.status, answer.json["code"]) == (422, "login_too_old")


def test_a_session_of_a_password_needs_the_password_again(auth, alice):
    answer = auth.post("/auth/email", {"new_email": "new@example.com"}, as_=alice)

    assert (answer.status, answer.json["code"]) == (422, "login_too_old")


def log_out(auth, token):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return auth.post("/auth/oidc/corp/logout", f"logout_token={token}", headers=form)


def test_the_issuers_logout_ends_its_session_and_no_other(auth, browser, issuer):
    first = refresh_token_of(browser.sign_in())
    issuer.person["sid"] = "another"
    second = refresh_token_of(browser.sign_in())
    answer = log_out(auth, issuer.logout_token(sub=issuer.person["sub"], sid="another"))

    assert answer.status == 200
    assert (refresh(auth, first).status, refresh(auth, second).status) == (200, 401)


@pytest.mark.parametrize("by", ["sub", "sid"])
def test_the_issuers_logout_names_a_subject_or_a_session(auth, browser, issuer, by):
    token = refresh_token_of(browser.sign_in())

    assert log_out(auth, issuer.logout_token(**{by: issuer.person[by]})).status == 200
    assert refresh(auth, token).status == 401


def test_the_issuers_logout_of_a_session_ends_that_of_its_user_alone(auth, browser, issuer):
    first = refresh_token_of(browser.sign_in())
    issuer.person |= {"sub": "another", "sid": "another", "email": f"{new_id().hex}@example.com"}
    second = refresh_token_of(browser.sign_in())
    log_out(auth, issuer.logout_token(sid="another"))

    assert (refresh(auth, first).status, refresh(auth, second).status) == (200, 401)


def test_an_access_token_dies_with_the_issuers_session(auth, browser, issuer):
    user = Person.of("", refresh(auth, refresh_token_of(browser.sign_in())).json)
    log_out(auth, issuer.logout_token(sub=issuer.person["sub"]))

    assert auth.get("/auth/me", as_=user).status == 401


LOGOUT_LIES = {
    "a nonce": {"nonce": "n"},
    "no events": {"events": None},
    "other events": {"events": {"http://schemas.openid.net/event/other": {}}},
    "no id": {"jti": None},
    "no subject and no session": {"sub": None},
    "another audience": {"aud": "somebody"},
    "another issuer": {"iss": "https://evil.example"},
    "a time of long ago": {"iat": 1_000_000_000},
    "no expiry": {"exp": None},
    "a session that is no text": {"sid": 7},
}


@pytest.mark.parametrize("lie", LOGOUT_LIES)
def test_a_logout_token_that_breaks_a_rule_ends_nothing(auth, browser, issuer, lie):
    token, subject = refresh_token_of(browser.sign_in()), issuer.person["sub"]
    issuer.change = lambda claims: {name: value for name, value in (claims | LOGOUT_LIES[lie]).items() if value is not None}
    answer = log_out(auth, issuer.logout_token(sub=subject))

    assert (answer.status, answer.json["code"]) == (400, "invalid_logout_token")
    assert refresh(auth, token).status == 200


def test_a_logout_token_works_once(auth, browser, issuer):
    token = issuer.logout_token(sub=issuer.person["sub"])

    assert [log_out(auth, token).status for _ in range(2)] == [200, 400]


def test_a_logout_of_somebody_unknown_ends_nothing(auth, browser, issuer, caplog):
    caplog.set_level("INFO")
    token = refresh_token_of(browser.sign_in())

    assert log_out(auth, issuer.logout_token(sub="nobody")).status == 200
    assert refresh(auth, token).status == 200
    assert [record.sessions for record in caplog.records if record.getMessage() == "issuer_ended_sessions"] == [0]


def test_an_id_token_is_no_logout_token(auth, browser, issuer):
    browser.sign_in()

    assert log_out(auth, issuer.sign({"nonce": "n"} | issuer.person)).status == 400


@pytest.fixture
def log_out_here(auth, browser, issuer, configure):
    """Return a function that signs in, configures the issuer with these options and logs out here. The issuer has a page for its own."""
    issuer.metadata = {"end_session_endpoint": f"{issuer.url}/end?lang=en"}

    def log_out_here(**options):
        user = Person.of("", refresh(auth, refresh_token_of(browser.sign_in())).json)
        configure(**options)
        answer = auth.post("/auth/logout", as_=user, headers={"Host": "evil.example"})
        assert auth.get("/auth/me", as_=user).status == 401
        return answer

    return log_out_here


def test_a_logout_says_where_the_issuer_logs_out(log_out_here, issuer):
    answer = log_out_here(post_logout_redirect_uri="https://chat.example.com/")
    address, _, query = answer.json["url"].partition("?")
    asked = dict(parse_qsl(query))

    assert (answer.status, answer.json["label"], address, len(asked.pop("state"))) == (200, "Corp", f"{issuer.url}/end", 22)
    assert asked == {"lang": "en", "client_id": "parley", "post_logout_redirect_uri": "https://chat.example.com/"}


def test_without_an_address_to_return_to_the_issuer_is_told_none(log_out_here, issuer):
    assert log_out_here().json == {"label": "Corp", "url": f"{issuer.url}/end?lang=en&client_id=parley"}


@pytest.mark.parametrize("endpoint", [None, "http://id.example.com/end", 7])
def test_an_issuer_without_a_secure_page_for_it_is_not_offered(log_out_here, issuer, endpoint):
    issuer.metadata = {"end_session_endpoint": endpoint}
    answer = log_out_here()

    assert (answer.status, answer.body) == (204, b"")


def test_a_logout_does_not_fail_with_the_issuer(auth, browser, issuer, configure):
    user = Person.of("", refresh(auth, refresh_token_of(browser.sign_in())).json)
    configure()
    issuer.status = 500

    assert auth.post("/auth/logout", as_=user).status == 204
    assert auth.get("/auth/me", as_=user).status == 401


def test_an_insecure_address_to_return_to_is_a_mistake_of_the_operator():
    issuer = {"id": "corp", "label": "Corp", "issuer": "https://id.example.com", "client_id": "parley"}
    with pytest.raises(ValueError, match="post_logout_redirect_uri"):
        parse_issuers(json.dumps([issuer | {"post_logout_redirect_uri": "http://chat.example.com/"}]))
