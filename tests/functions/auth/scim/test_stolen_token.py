"""A stolen SCIM token: its thief changes addresses and changes them back, and keeps no way into an account or to the role of an admin."""

from dataclasses import fields, replace
from functools import partial
from uuid import UUID

import pytest

from functions.auth import api_keys
from functions.auth.admin import change_account
from functions.auth.oidc import accounts, login
from functions.auth.scim import users
from functions.auth.scim.users import Profile
from parley.auth.client_origin import ClientOrigin
from parley.db.accounts import administration, oidc
from parley.db.accounts import users as stored_users
from parley.db.transactions import global_scope, user_scope
from tests.fakes.oidc_issuer import error_of, refresh_token_of
from tests.functions.auth.refresh_tokens import refresh
from tests.support.api_gateway import Person
from tests.support.concurrency import act_inside, closing_engine, impatient

ORIGIN = ClientOrigin("192.0.2.9")


def move(services, user_id, address):
    """Change an account's address as the provider does."""

    def moved(user):
        return replace(Profile(**{field.name: getattr(user, field.name) for field in fields(Profile)}), email=address)

    users.change(services, user_id, moved, origin=ORIGIN)


def user_of(auth, answer):
    assert error_of(answer) == ""
    return Person.of("", refresh(auth, refresh_token_of(answer)).json)


def roles_of(postgres, *people):
    ids = ", ".join(f"'{person}'" for person in people)
    return sorted(role for (role,) in postgres.execute(f"SELECT role FROM users WHERE id IN ({ids})", dbname="parley"))


@pytest.fixture
def account(provider, issuer, email):
    """The id of an account with the address that the issuer vouches for."""
    issuer.person["email"] = email
    return UUID(provider.create(email)["id"])


def test_an_identity_that_joined_by_the_thiefs_address_ends_with_it(auth, browser, elsewhere, account, email):
    thief = user_of(auth, browser.sign_in())
    move(elsewhere, account, f"owner-{email}")

    assert thief.id == account
    assert user_of(auth, browser.sign_in()).id != account


def test_a_user_with_a_new_address_joins_again_by_it(auth, browser, issuer, elsewhere, account, email):
    browser.sign_in()
    move(elsewhere, account, f"new-{email}")
    issuer.person["email"] = f"new-{email}"

    assert user_of(auth, browser.sign_in()).id == account


def test_a_login_that_began_before_the_address_changed_starts_no_session(browser, elsewhere, account, email, monkeypatch):
    def account_then_move(*args, **options):
        user_id = account_of(*args, **options)
        move(elsewhere, user_id, f"owner-{email}")
        return user_id

    account_of = login.account_of
    monkeypatch.setattr(login, "account_of", account_then_move)

    assert error_of(browser.sign_in()) == "oidc_login_expired"


def test_an_identity_that_joins_while_the_address_changes_does_not_stay(elsewhere, account, email, database, monkeypatch, postgres):
    def remove_then_join(connection, *, user_id):
        remove(connection, user_id=user_id)
        with closing_engine(database) as engine, user_scope(engine, user_id) as own, impatient(own):
            if stored_users.lock_verified_email(own, user_id) == email:
                oidc.add_identity(own, user_id=user_id, issuer="https://id.example.com", subject=email)

    remove = oidc.remove_identities
    monkeypatch.setattr(oidc, "remove_identities", remove_then_join)
    move(elsewhere, account, f"owner-{email}")

    assert postgres.execute(f"SELECT count(*) FROM oidc_identities WHERE user_id = '{account}'", dbname="parley") == [(0,)]


def test_an_account_whose_address_changes_during_a_login_is_not_promoted(
    browser, configure, issuer, elsewhere, account, email, monkeypatch, postgres
):
    def move_then_set(services, issuer, identity, user_id):
        move(elsewhere, user_id, f"thief-{email}")
        set_role(services, issuer, identity, user_id)

    configure(admin_groups=["chiefs"])
    issuer.person["groups"] = ["chiefs"]
    set_role = accounts._set_role
    monkeypatch.setattr(accounts, "_set_role", move_then_set)

    assert error_of(browser.sign_in()) == "oidc_login_expired"
    assert roles_of(postgres, account) == ["user"]


@pytest.fixture
def sign_in_admin(browser, configure, issuer, engine, only_admin):
    """Return a function that signs the only admin in at an issuer that gives the role to nobody."""
    configure(admin_groups=["chiefs"])
    with user_scope(engine, only_admin.id) as connection:
        oidc.add_identity(connection, user_id=only_admin.id, issuer=issuer.url, subject=issuer.person["sub"])
    return browser.sign_in


def test_the_last_admin_keeps_the_role(sign_in_admin, only_admin, postgres):
    assert error_of(sign_in_admin()) == ""
    assert roles_of(postgres, only_admin.id) == ["admin"]


def test_an_admin_and_the_issuer_of_this_admin_leave_one_admin(sign_in_admin, only_admin, bob, engines, monkeypatch, postgres):
    def look_then_demote(connection, user_id):
        found = has_other_admin(connection, user_id)
        with global_scope(engines["background"]) as own, impatient(own):
            change_account(own, only_admin.principal, bob.id, {"role": "user"}, origin=ORIGIN)
        return found

    postgres.execute(f"UPDATE users SET role = 'admin' WHERE id = '{bob.id}'", dbname="parley")
    has_other_admin = administration.has_other_admin
    monkeypatch.setattr(administration, "has_other_admin", look_then_demote)
    sign_in_admin()

    assert roles_of(postgres, only_admin.id, bob.id) == ["admin", "user"]


def test_no_api_key_outlives_a_change_of_the_address(auth, browser, elsewhere, account, email, monkeypatch, postgres):
    user = user_of(auth, browser.sign_in())
    act_inside(monkeypatch, api_keys, partial(move, elsewhere, user.id, f"owner-{email}"))

    assert auth.post("/auth/api-keys", {"name": "ci"}, as_=user).status == 401
    assert postgres.execute(f"SELECT count(*) FROM api_keys WHERE user_id = '{account}'", dbname="parley") == [(0,)]
