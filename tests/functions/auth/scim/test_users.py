"""Users over SCIM: created, found, changed, disabled, deleted, and what that means for their accounts."""

import pytest

from functions.auth.registration_policy import RegistrationPolicy
from parley.db.accounts import passkeys
from parley.db.accounts.passkeys import Credential
from parley.db.scim import groups
from parley.db.transactions import user_scope
from parley.errors import Unavailable
from parley.ids import new_id
from tests.fakes.oidc_issuer import error_of, refresh_token_of
from tests.functions.auth.refresh_tokens import refresh
from tests.functions.auth.scim.provider import USER, refusal
from tests.support.api_gateway import PASSWORD, Person

OFF = {"op": "replace", "path": "active", "value": False}
ON = {"op": "replace", "path": "active", "value": True}


def events_of(auth, admin, id):
    return [row["action"] for row in auth.get(f"/admin/audit?account_id={id}", as_=admin).json["items"]]


def test_a_user_is_found_by_a_letter_that_languages_lower_in_different_ways(provider, email):
    id = provider.create(f"İNCİ-{email}", emails=[{"value": email}])["id"]

    assert provider.find("Users", f'userName eq "İNCİ-{email}"') == [id]
    again = provider.call("POST", "/Users", {"userName": f"İNCİ-{email}", "emails": [{"value": f"x{email}"}]})
    assert refusal(again) == (409, "uniqueness")


def test_a_created_user_is_shown_with_what_was_sent(provider, email):
    name = {"givenName": "Barbara", "familyName": "Jensen", "formatted": "Ms. Barbara J Jensen III"}
    made = provider.create(email, externalId=f"x-{email}", name=name, displayName="Babs", password="ignored")

    assert made == provider.call("GET", f"/Users/{made['id']}").json
    assert (made["schemas"], made["userName"], made["externalId"], made["displayName"]) == ([USER], email, f"x-{email}", "Babs")
    assert made["name"] == {"givenName": "Barbara", "familyName": "Jensen", "formatted": "Barbara Jensen"}
    assert made["emails"] == [{"value": email, "type": "work", "primary": True}]
    assert (made["active"], made["meta"]["resourceType"]) == (True, "User")
    assert made["meta"]["location"] == f"https://api.example.com/prod/scim/v2/Users/{made['id']}"


def test_the_address_of_a_new_user_is_in_the_header(provider, email):
    answer = provider.call("POST", "/Users", {"schemas": [USER], "userName": email})

    assert answer.headers["location"] == answer.json["meta"]["location"]
    assert answer.headers["content-type"] == "application/scim+json"


def test_a_provisioned_user_signs_in_at_an_issuer(auth, browser, issuer, provider, change_services, email):
    change_services(registration_policy=RegistrationPolicy.of("closed", domains="", admin_email="", verifies_email=False))
    made = provider.create(email)
    issuer.person["email"] = email

    assert refresh(auth, refresh_token_of(browser.sign_in())).json["user"]["id"] == made["id"]
    assert auth.post("/auth/login", {"email": email, "password": "!"}).status == 401


def test_a_user_name_an_address_and_an_external_id_are_taken_once(provider, email, alice):
    provider.create(email, externalId=f"x-{email}")
    same_address = {"userName": "someone", "emails": [{"value": alice.email}]}
    same_id = {"userName": f"z{email}", "externalId": f"x-{email}"}
    for body in ({"userName": email.upper()}, {"userName": alice.email}, same_address, same_id):
        assert refusal(provider.call("POST", "/Users", body)) == (409, "uniqueness")


def test_a_changed_user_takes_no_name_and_no_id_of_another(provider, email):
    one = provider.create(email, externalId=f"x-{email}")
    other = provider.create(f"z{email}", externalId=f"y-{email}")
    for taken in ({"userName": email, "emails": other["emails"]}, {"userName": f"z{email}", "externalId": f"x-{email}"}):
        assert refusal(provider.call("PUT", f"/Users/{other['id']}", taken)) == (409, "uniqueness")

    renamed = provider.call("PUT", f"/Users/{one['id']}", one | {"userName": email.upper(), "displayName": "One"})
    assert (renamed.status, renamed.json["userName"], renamed.json["externalId"]) == (200, email.upper(), f"x-{email}")


@pytest.mark.parametrize("body", [{}, {"userName": "bjensen"}, {"userName": "x", "emails": [{"value": "y"}]}, {"userName": 7}])
def test_a_user_without_a_valid_name_or_address_is_refused(provider, body):
    assert refusal(provider.call("POST", "/Users", body)) == (400, "invalidValue")


def test_a_body_that_is_not_json_is_refused_in_the_form_of_scim(provider):
    assert refusal(provider.call("POST", "/Users", "{")) == (400, "invalidSyntax")


def test_a_disabled_user_loses_sessions_and_api_keys_at_once(auth, chat, provider, alice, verify):
    verify(alice)
    key = auth.post("/auth/api-keys", {"name": "a script", "password": PASSWORD}, as_=alice).json
    (id,) = provider.find("Users", f'userName eq "{alice.email}"')

    assert provider.patch(f"/Users/{id}", OFF).json["active"] is False
    assert refresh(auth, alice.tokens["refresh_token"]).status == 401
    assert auth.get("/auth/me", as_=alice).status == 401
    assert provider.patch(f"/Users/{id}", ON).json["active"] is True
    assert (auth.get("/auth/me", as_=alice).status, refresh(auth, alice.tokens["refresh_token"]).status) == (401, 401)
    again = Person.signed_in(auth, alice.email)
    assert key["id"] not in str(auth.get("/auth/api-keys", as_=again).json)


def test_api_keys_of_a_user_whom_an_admin_disabled_do_not_come_back(auth, provider, admin, alice, verify):
    verify(alice)
    key = auth.post("/auth/api-keys", {"name": "a script", "password": PASSWORD}, as_=alice).json
    assert auth.patch(f"/admin/users/{alice.id}", {"disabled": True}, as_=admin).status == 200
    assert provider.patch(f"/Users/{alice.id}", ON).json["active"] is True

    again = Person.signed_in(auth, alice.email)
    assert key["id"] not in str(auth.get("/auth/api-keys", as_=again).json)


def test_a_user_whose_name_somebody_registers_as_an_address_is_disabled(auth, provider, email):
    id = provider.create(f"name-{email}", emails=[{"value": email}])["id"]
    stranger = Person.registered(auth, email=f"name-{email}")

    assert provider.patch(f"/Users/{id}", OFF).json["active"] is False
    assert refusal(provider.call("PUT", f"/Users/{stranger.id}", {"userName": stranger.email})) == (409, "uniqueness")


def test_a_name_that_somebody_registers_as_an_address_finds_the_users_account_alone(auth, provider, email):
    id = provider.create(f"name-{email}", emails=[{"value": email}])["id"]
    stranger = Person.registered(auth, email=f"name-{email}")
    assert provider.find("Users", f'userName eq "NAME-{email}"') == [id]

    provider.call("DELETE", f"/Users/{id}")
    assert provider.find("Users", f'userName eq "name-{email}"') == [str(stranger.id)]


def test_a_disabled_user_does_not_sign_in_at_an_issuer(browser, issuer, provider, email):
    provider.create(email, active=False)
    issuer.person["email"] = email

    assert error_of(browser.sign_in()) == "account_disabled"


def test_an_account_with_an_unproven_address_is_taken_over_without_its_password(auth, provider, alice):
    (id,) = provider.find("Users", f'userName eq "{alice.email}"')
    assert provider.call("PUT", f"/Users/{id}", {"userName": alice.email, "active": True}).status == 200

    assert auth.get("/auth/me", as_=alice).status == 401
    assert auth.post("/auth/login", {"email": alice.email, "password": PASSWORD}).status == 401


def test_an_account_with_an_unproven_address_is_taken_over_without_its_passkeys(engine, provider, alice):
    with user_scope(engine, alice.id) as connection:
        passkeys.add(connection, new_id(), Credential(b"id", b"key", 0, []), user_id=alice.id, name="Thief's", is_backed_up=False)
    assert provider.call("PUT", f"/Users/{alice.id}", {"userName": alice.email}).status == 200

    with user_scope(engine, alice.id) as connection:
        assert passkeys.credentials(connection, user_id=alice.id) == []


def test_an_account_with_a_proven_address_is_taken_over_as_it_is(auth, provider, alice, verify):
    verify(alice)
    (id,) = provider.find("Users", f'userName eq "{alice.email}"')
    assert provider.call("PUT", f"/Users/{id}", {"userName": alice.email, "displayName": "Alice"}).json["displayName"] == "Alice"

    assert auth.get("/auth/me", as_=alice).json["display_name"] == "Alice"


def test_a_deleted_user_is_gone_for_the_provider_and_loses_access(auth, provider, alice, verify):
    verify(alice)
    assert provider.call("DELETE", f"/Users/{alice.id}").status == 204

    assert refusal(provider.call("GET", f"/Users/{alice.id}")) == (404, None)
    assert refusal(provider.call("DELETE", f"/Users/{alice.id}")) == (404, None)
    assert provider.find("Users", f'userName eq "{alice.email}"') == []
    assert auth.get("/auth/me", as_=alice).status == 401
    assert auth.post("/auth/login", {"email": alice.email, "password": PASSWORD}).status == 401


def test_a_deleted_user_who_is_created_again_gets_the_account_back(auth, provider, admin, email):
    made = provider.create(email, displayName="Before")
    provider.call("DELETE", f"/Users/{made['id']}")
    again = provider.create(email, displayName="After")

    assert (again["id"], again["displayName"], again["active"]) == (made["id"], "After", True)
    assert events_of(auth, admin, made["id"]) == ["provisioned", "deprovisioned", "provisioned"]


def test_an_unchanged_user_is_not_written_again(auth, provider, admin, email):
    made = provider.create(email)
    again = provider.call("PUT", f"/Users/{made['id']}", made)

    assert again.json == made
    assert events_of(auth, admin, made["id"]) == ["provisioned"]


def test_changes_are_in_the_audit_without_their_texts(auth, provider, admin, email):
    id = provider.create(email)["id"]
    provider.patch(f"/Users/{id}", OFF, {"op": "add", "path": "name.familyName", "value": "Secret"})
    rows = auth.get(f"/admin/audit?account_id={id}", as_=admin).json["items"]

    provider.patch(f"/Users/{id}", ON)
    newest = auth.get(f"/admin/audit?account_id={id}&limit=2", as_=admin).json["items"]

    assert [row["action"] for row in newest] == ["changed_by_provider", "enabled_by_provider"]
    assert [row["action"] for row in rows] == ["changed_by_provider", "disabled_by_provider", "provisioned"]
    assert rows[0]["detail"] == {"attributes": ["family_name", "is_active"]}
    assert {(row["actor"], row["actor_id"]) for row in rows} == {("scim", None)}


def test_a_new_address_is_proven_and_taken_once(auth, browser, issuer, provider, email, alice):
    id = provider.create(email)["id"]
    change = {"op": "replace", "path": 'emails[type eq "work"].value', "value": f"new-{email}"}
    assert provider.patch(f"/Users/{id}", change).json["emails"][0]["value"] == f"new-{email}"
    issuer.person["email"] = f"new-{email}"

    assert refresh(auth, refresh_token_of(browser.sign_in())).json["user"]["id"] == id
    assert refusal(provider.patch(f"/Users/{id}", change | {"value": alice.email})) == (409, "uniqueness")


def test_the_last_admin_is_neither_disabled_nor_deleted(provider, only_admin, verify):
    verify(only_admin)

    assert refusal(provider.patch(f"/Users/{only_admin.id}", OFF)) == (400, "mutability")
    assert refusal(provider.call("DELETE", f"/Users/{only_admin.id}")) == (400, "mutability")
    assert provider.call("GET", f"/Users/{only_admin.id}").json["active"] is True


def test_the_last_admin_may_have_another_name_and_one_of_two_admins_be_disabled(auth, provider, only_admin, alice, verify):
    verify(only_admin), verify(alice)
    name = {"op": "replace", "path": "displayName", "value": "Boss"}
    assert provider.patch(f"/Users/{only_admin.id}", name).json["displayName"] == "Boss"
    assert auth.patch(f"/admin/users/{alice.id}", {"role": "admin"}, as_=only_admin).status == 200

    assert provider.patch(f"/Users/{alice.id}", OFF).json["active"] is False


def test_the_address_of_an_admin_stays(provider, admin, email):
    body = {"userName": admin.email, "emails": [{"value": email}]}

    assert refusal(provider.call("PUT", f"/Users/{admin.id}", body)) == (400, "mutability")


def test_an_admin_is_not_deleted(provider, admin):
    assert refusal(provider.call("DELETE", f"/Users/{admin.id}")) == (400, "mutability")
    assert provider.call("GET", f"/Users/{admin.id}").json["active"] is True


def test_nobody_is_given_the_configured_address_of_an_admin(provider, change_services, email):
    change_services(registration_policy=RegistrationPolicy.of("closed", domains="", admin_email=f"boss-{email}", verifies_email=False))
    id = provider.create(email)["id"]
    change = {"op": "replace", "path": 'emails[type eq "work"].value', "value": f"boss-{email}"}

    assert refusal(provider.patch(f"/Users/{id}", change)) == (400, "mutability")


def test_a_changed_address_ends_the_password_that_was_set_before(auth, provider, alice, verify, email):
    verify(alice)
    for address in (email, alice.email):
        body = {"userName": alice.email, "emails": [{"value": address}]}
        assert provider.call("PUT", f"/Users/{alice.id}", body).status == 200

    assert auth.get("/auth/me", as_=alice).status == 401
    assert auth.post("/auth/login", {"email": alice.email, "password": PASSWORD}).status == 401


def test_a_deletion_that_fails_halfway_has_done_nothing_and_is_repeated(provider, monkeypatch, email):
    def fail(*_):
        raise Unavailable("the database")

    path = f"/Users/{provider.create(email)['id']}"
    with monkeypatch.context() as broken:
        broken.setattr(groups, "leave_all", fail)
        assert refusal(provider.call("DELETE", path)) == (503, None)

    assert provider.call("GET", path).json["active"] is True
    assert provider.call("DELETE", path).status == 204
