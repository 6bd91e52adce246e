"""Requests as RFC 7644, Okta's and Entra's documentation show them, with ids of this test's users."""

import pytest

from tests.functions.auth.scim.provider import PATCH, USER, refusal

# Okta and SCIM version 2.0, "Create Users", with an address of this test.
OKTA_USER = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "name": {"givenName": "Test", "familyName": "User"},
    "displayName": "Test User",
    "locale": "en-US",
    "externalId": "00ujl29u0le5T6Aj10h7",
    "groups": [],
    "password": "1mz050nq",
    "active": True,
}
# Develop a SCIM endpoint for Microsoft Entra ID, "Create User".
ENTRA_USER = {
    "schemas": [
        "urn:ietf:params:scim:schemas:core:2.0:User",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    ],
    "active": True,
    "meta": {"resourceType": "User"},
    "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
    "roles": [],
}
# The same page, "Update User" and "Disable User".
ENTRA_UPDATES = [
    {"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"},
    {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "IT"},
    {"op": "Replace", "path": "active", "value": "False"},
]


def work(email):
    return [{"primary": True, "value": email, "type": "work"}]


@pytest.fixture
def user(provider, email):
    return provider.create(email, displayName="Barbara")


def test_attributes_without_a_value_are_left_out_of_the_response(provider, user):
    changed = provider.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": True}).json
    group = provider.create_group("Research")

    assert [shown for shown in (user, changed, group) if None in shown.values()] == []


def test_oktas_user_is_created_and_deactivated_without_a_path(provider, email):
    body = OKTA_USER | {"userName": email, "emails": work(email), "externalId": f"00u{email}"}
    answer = provider.call("POST", "/Users", body)
    assert (answer.status, answer.json["name"]["familyName"], "password" in answer.json) == (201, "User", False)
    path = f"/Users/{answer.json['id']}"

    assert provider.patch(path, {"op": "replace", "value": {"active": False}}).json["active"] is False
    assert provider.call("PUT", path, body | {"id": answer.json["id"]}).json["active"] is True


def test_entras_user_is_created_found_and_changed(provider, email):
    body = ENTRA_USER | {"externalId": f"e-{email}", "userName": f"upn-{email}", "emails": work(email)}
    assert provider.find("Users", f'userName eq "upn-{email}"') == []
    id = provider.call("POST", "/Users", body).json["id"]
    update = {"op": "Replace", "path": 'emails[type eq "work"].value', "value": f"new-{email}"}
    changed = provider.patch(f"/Users/{id}", update, *ENTRA_UPDATES).json

    assert provider.find("Users", f'userName eq "upn-{email}"') == provider.find("Users", f'externalId eq "e-{email}"') == [id]
    assert changed["emails"] == [{"value": f"new-{email}", "type": "work", "primary": True}]
    assert (changed["name"]["familyName"], changed["active"]) == ("updatedFamilyName", False)


def test_entras_update_without_a_path_has_paths_as_names(provider, user):
    value = {"displayName": "Bee", "name.givenName": "Barbara", "active": "True", "urn:ietf:params:scim:schemas:core:2.0:User:title": "x"}
    changed = provider.patch(f"/Users/{user['id']}", {"op": "Add", "value": value}).json

    assert (changed["displayName"], changed["name"]["givenName"], changed["active"]) == ("Bee", "Barbara", True)


def test_entras_groups_gain_and_lose_members(provider, alice, bob):
    group = provider.create_group("Entra", externalId=f"8aa1a0c0-{alice.id}")
    path, a, b = f"/Groups/{group['id']}", {"$ref": None, "value": str(alice.id)}, {"$ref": None, "value": str(bob.id)}
    assert group["members"] == []

    added = provider.patch(path, {"op": "Add", "path": "members", "value": [a, b]})
    assert (added.status, added.body, provider.members(group)) == (204, b"", {str(alice.id), str(bob.id)})
    assert provider.patch(path, {"op": "Remove", "path": "members", "value": [a]}).status == 204
    assert provider.members(group) == {str(bob.id)}


def test_oktas_groups_are_renamed_and_filled(provider, alice, bob):
    group = provider.create_group("Test SCIMv2")
    path = f"/Groups/{group['id']}"
    rename = {"op": "replace", "value": {"id": group["id"], "displayName": "Test SCIMv2 renamed"}}
    swap = [
        {"op": "remove", "path": f'members[value eq "{alice.id}"]'},
        {"op": "add", "path": "members", "value": [{"value": str(bob.id), "display": "Bob"}]},
    ]
    provider.patch(path, {"op": "replace", "path": "members", "value": [{"value": str(alice.id)}]})

    assert [provider.patch(path, rename).status, provider.patch(path, *swap).status] == [204, 204]
    assert provider.call("GET", path).json["displayName"] == "Test SCIMv2 renamed"
    assert provider.members(group) == {str(bob.id)}


def test_the_operations_of_the_rfc_on_members(provider, alice, bob):
    """RFC 7644, 3.5.2.1 to 3.5.2.3."""
    group = provider.create_group("RFC", str(alice.id))
    path, members = f"/Groups/{group['id']}", [{"display": "James Smith", "value": str(bob.id)}]
    remove_all = {"op": "remove", "path": "members"}

    provider.patch(path, {"op": "remove", "path": f'members[value eq"{alice.id}"]'}, {"op": "add", "path": "members", "value": members})
    assert provider.members(group) == {str(bob.id)}
    provider.patch(path, remove_all, {"op": "add", "path": "members", "value": [{"value": str(alice.id)}, *members]})
    assert provider.members(group) == {str(alice.id), str(bob.id)}
    assert provider.patch(path, remove_all).status == 204
    assert provider.members(group) == set()


def test_the_operations_of_the_rfc_on_addresses(provider, user, email):
    """RFC 7644, 3.5.2.1 to 3.5.2.3: an account keeps its primary address only."""
    path, home = f"/Users/{user['id']}", {"value": f"home-{email}", "type": "home"}
    add_home = {"op": "add", "value": {"emails": [home], "nickname": "Babs"}}
    replace = {
        "op": "replace",
        "value": {"emails": [home, {"value": f"work-{email}", "type": "work", "primary": True}], "nickname": "Babs"},
    }

    assert provider.patch(path, add_home).json["emails"][0]["value"] == email
    assert provider.patch(path, replace).json["emails"][0]["value"] == f"work-{email}"
    street = {"op": "replace", "path": 'addresses[type eq "work"].streetAddress', "value": "1010 Broadway Ave"}
    assert provider.patch(path, street).status == 200
    remove = {"op": "remove", "path": 'emails[type eq "work" and value ew "example.com"]'}
    assert provider.patch(path, remove).json["emails"][0]["value"] == email


def test_names_of_attributes_are_read_regardless_of_case(provider, email):
    made = provider.call("POST", "/Users", {"SCHEMAS": [USER], "USERNAME": email, "NAME": {"GIVENNAME": "Bee"}, "Active": "false"}).json

    assert (made["userName"], made["name"]["givenName"], made["active"]) == (email, "Bee", False)


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        ({"op": "replace", "path": "id", "value": "x"}, "mutability"),
        ({"op": "replace", "path": "activ", "value": False}, "invalidPath"),
        ({"op": "replace", "path": "emails[type eq", "value": "x"}, "invalidPath"),
        ({"op": "replace", "path": 'emails[type like "work"].value', "value": "x"}, "invalidFilter"),
        ({"op": "replace", "path": 'emails[type eq "home"].value', "value": "x@example.com"}, "noTarget"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "remove", "path": "userName"}, "invalidValue"),
        ({"op": "replace", "path": "active", "value": "maybe"}, "invalidValue"),
        ({"op": "replace", "path": "name", "value": "Bee"}, "invalidValue"),
        ({"op": "replace", "value": "active"}, "invalidValue"),
        ({"op": "add", "path": "emails", "value": [7]}, "invalidValue"),
        ({"op": "move", "path": "active"}, "invalidValue"),
    ],
)
def test_an_operation_that_cannot_be_done_changes_nothing(provider, user, operation, reason):
    rename = {"op": "replace", "path": "displayName", "value": "Changed"}

    assert refusal(provider.patch(f"/Users/{user['id']}", rename, operation)) == (400, reason)
    assert provider.call("GET", f"/Users/{user['id']}").json == user


def test_a_refused_body_is_explained_by_three_attributes_at_most(provider):
    answer = provider.call("POST", "/Users", {"userName": 1, "externalId": 2, "displayName": 3, "active": 4})

    assert refusal(answer) == (400, "invalidValue")
    assert answer.json["detail"].startswith("userName: ")
    assert answer.json["detail"].count("; ") == 2


def test_a_patch_without_operations_is_refused(provider, user):
    answer = provider.call("PATCH", f"/Users/{user['id']}", {"schemas": [PATCH], "Operations": []})

    assert refusal(answer) == (400, "invalidValue")


def test_an_id_that_is_none_of_parleys_is_not_found(provider):
    assert refusal(provider.call("GET", "/Users/2819c223-7f76-453a-919d-413861904646")) == (404, None)
    assert refusal(provider.call("PATCH", "/Users/bjensen", {"Operations": [{"op": "remove", "path": "name"}]})) == (404, None)
