"""PATCH of users and groups without a database: what each operation leaves of the attributes."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from functions.auth.scim.errors import ScimError
from functions.auth.scim.patches import member_ids, patch_group, patch_user
from functions.auth.scim.schemas import ScimOperation, ScimUserIn, ScimUserOut, validate, wants
from functions.auth.scim.users import Profile
from parley.db.scim.users import ScimUser

A, B = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 11, 28, tzinfo=UTC)
USER = ScimUser(A, "bee", "x", "bee@example.com", "Bee", "Barbara", "Jensen", "user", True, True, True, NOW, NOW)


def operations(*given):
    return [ScimOperation.model_validate(one) for one in given]


def patched(*given):
    """Return the attributes of the user after the operations."""
    return patch_user(USER, operations(*given))


def addresses(*given):
    return [email["value"] for email in patched(*given)["emails"]]


def members(*given):
    """Return whether the operations replace a group's members, and the members that they add and remove."""
    changes = patch_group(operations(*given)).members
    return changes.replaces, changes.added, changes.removed


def reason(patch, *given):
    with pytest.raises(ScimError) as refused:
        patch(*given)
    return refused.value.scim_type


@pytest.mark.parametrize(
    ("operation", "attribute", "left"),
    [
        ({"op": "remove", "path": "displayName"}, "displayName", None),
        ({"op": "replace", "path": "displayName", "value": "B"}, "displayName", "B"),
        ({"op": "remove", "path": "active"}, "active", None),
        ({"op": "remove", "path": "name"}, "name", {"givenName": None, "familyName": None}),
        ({"op": "remove", "path": "name.givenName"}, "name", {"givenName": None, "familyName": "Jensen"}),
        ({"op": "add", "path": "name", "value": {"GIVENNAME": "B", "formatted": "x"}}, "name", {"givenName": "B", "familyName": "Jensen"}),
        ({"op": "add", "path": "name.familyName", "value": "Jay"}, "name", {"givenName": "Barbara", "familyName": "Jay"}),
    ],
)
def test_an_operation_changes_the_attribute_that_it_names(operation, attribute, left):
    assert patched(operation) == patched({"op": "add", "path": "title", "value": "x"}) | {attribute: left}


WORK_AND_PRIMARY = ('type eq "work"', "primary eq true")


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ([{"op": "add", "path": "emails", "value": "new@example.com"}], ["bee@example.com", "new@example.com"]),
        ([{"op": "replace", "path": "emails", "value": "new@example.com"}], ["new@example.com"]),
        ([{"op": "replace", "path": "emails.value", "value": "new@example.com"}], ["new@example.com"]),
        ([{"op": "replace", "path": "emails.type", "value": "home"}], ["bee@example.com"]),
        ([{"op": "remove", "path": "emails"}], []),
        ([{"op": "remove", "path": 'emails[type eq "work"]'}], []),
        ([{"op": "remove", "path": 'emails[type eq "home"]'}], ["bee@example.com"]),
        ([{"op": "add", "path": 'emails[type eq "home"]', "value": "home@example.com"}], ["bee@example.com"]),
        ([{"op": "add", "path": "emails[primary eq true]", "value": {"value": "new@example.com"}}], ["new@example.com"]),
        ([{"op": "add", "path": "emails[primary eq false]", "value": "new@example.com"}], ["bee@example.com"]),
        ([{"op": "replace", "path": f"emails[{filter}]", "value": "new@example.com"} for filter in WORK_AND_PRIMARY], ["new@example.com"]),
    ],
)
def test_an_operation_on_addresses_leaves_these(given, left):
    assert addresses(*given) == left


@pytest.mark.parametrize(("is_primary", "primary"), [(True, [False, True]), (False, [True, False])])
def test_a_new_primary_address_replaces_the_old_one_as_such(is_primary, primary):
    emails = patched({"op": "add", "path": "emails", "value": [{"value": "new@example.com", "primary": is_primary}]})["emails"]

    assert [bool(email["primary"]) for email in emails] == primary


def test_no_address_is_left_that_a_filter_could_find():
    remove, replace = {"op": "remove", "path": "emails"}, {"op": "replace", "path": 'emails[type eq "work"]', "value": "a@example.com"}

    assert reason(patched, remove, replace) == "noTarget"


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ([{"op": "add", "path": "members", "value": [{"value": str(A)}, str(B)]}], (False, {A, B}, set())),
        ([{"op": "add", "path": "members", "value": {"value": str(A)}}], (False, {A}, set())),
        ([{"op": "add", "path": "members"}], (False, set(), set())),
        ([{"op": "remove", "path": "members", "value": [{"value": str(A)}]}], (False, set(), {A})),
        ([{"op": "remove", "path": "members"}], (True, set(), set())),
        ([{"op": "replace", "path": "members", "value": [str(A)]}], (True, {A}, set())),
        ([{"op": "remove", "path": "members", "value": str(A)}, {"op": "add", "path": "members", "value": str(A)}], (False, {A}, set())),
        ([{"op": "add", "path": "members", "value": str(A)}, {"op": "remove", "path": f'members[value eq "{A}"]'}], (False, set(), {A})),
    ],
)
def test_operations_on_members_add_up(given, changes):
    assert members(*given) == changes


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "add", "path": f'members[value eq "{A}"]'}, "invalidPath"),
        ({"op": "remove", "path": f'members[value co "{A}"]'}, "invalidPath"),
        ({"op": "remove", "path": f'members[display eq "{A}"]'}, "invalidPath"),
        ({"op": "add", "path": "members", "value": [7]}, "invalidValue"),
        ({"op": "add", "path": "members", "value": "nobody"}, "invalidValue"),
        ({"op": "add", "path": "memberz", "value": str(A)}, "invalidPath"),
    ],
)
def test_members_are_named_by_their_ids_only(operation, expected):
    assert reason(members, operation) == expected


def test_a_groups_external_id_is_set_and_removed():
    path = {"path": "externalId"}

    assert patch_group(operations({"op": "replace", "value": "g"} | path)).attributes == {"externalId": "g"}
    assert patch_group(operations({"op": "remove"} | path)).attributes == {"externalId": None}
    assert patch_group(operations({"op": "remove", "path": "displayName"})).attributes == {"displayName": None}


def test_the_operations_of_a_request_name_a_thousand_members_together():
    ids = [str(uuid4()) for _ in range(1001)]
    add, remove = {"op": "add", "path": "members", "value": ids[:500]}, {"op": "remove", "path": "members", "value": ids[500:1000]}
    one_more = {"op": "remove", "path": "members", "value": ids[500:]}

    assert len(member_ids(ids[:1000])) == 1000
    assert [len(changed) for changed in members(add, remove)[1:]] == [500, 500]
    assert reason(members, add, one_more) == "tooMany"
    assert reason(member_ids, ids) == "tooMany"


def profile(**given):
    """Return the whole profile of a request."""
    return Profile.whole(validate(ScimUserIn, {"userName": "bee@example.com"} | given), is_active=False)


@pytest.mark.parametrize(
    ("emails", "chosen"),
    [
        (None, "bee@example.com"),
        ([], "bee@example.com"),
        ([{"value": "a@example.com"}, {"value": "b@example.com", "type": "Work"}], "b@example.com"),
        ([{"value": "a@example.com", "type": "work"}, {"value": "b@example.com", "type": "home", "primary": True}], "b@example.com"),
        ([{"value": "a@example.com", "type": "home"}, {"value": "b@example.com"}], "a@example.com"),
    ],
)
def test_the_primary_address_is_chosen_then_that_of_work_then_the_first(emails, chosen):
    assert profile(emails=emails).email == chosen


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"displayName": "Babs", "name": {"formatted": "B. J."}}, "Babs"),
        ({"name": {"formatted": "B. J.", "givenName": "Barbara"}}, "B. J."),
        ({"name": {"givenName": "Barbara", "familyName": "Jensen"}}, "Barbara Jensen"),
        ({"name": {"familyName": "Jensen"}}, "Jensen"),
        ({"name": {"givenName": "x" * 60, "familyName": "y" * 60}}, "x" * 60 + " " + "y" * 39),
        ({"displayName": "z" * 101}, "z" * 100),
        ({"displayName": " A\u202eda\n"}, "Ada"),
        ({}, None),
    ],
)
def test_a_user_is_shown_by_the_best_name_that_was_sent(given, shown):
    assert profile(**given).display_name == shown


@pytest.mark.parametrize(("active", "is_active"), [(None, False), (True, True), ("True", True), ("false", False)])
def test_a_user_stays_as_active_as_before_unless_the_request_says_otherwise(active, is_active):
    assert profile(active=active).is_active is is_active


def test_attributes_that_are_null_are_left_out():
    shown = ScimUserOut.of(USER, "https://api.example.com")
    unnamed = ScimUserOut(schemas=[], id="1", user_name="bee")

    assert shown.chosen(None, None).keys() >= {"externalId", "displayName", "name", "emails", "active", "meta"}
    assert unnamed.chosen(None, None) == {"schemas": [], "id": "1", "userName": "bee"}


@pytest.mark.parametrize("attributes", ["userName", "urn:ietf:params:scim:schemas:core:2.0:User:userName", "title, USERNAME", "userName.x"])
def test_an_attribute_may_be_wanted_by_its_whole_name(attributes):
    assert wants("userName", attributes, None)
    assert not wants("displayName", attributes, None)
    assert not wants("userName", None, attributes)


def test_an_error_names_three_attributes_at_most():
    with pytest.raises(ScimError) as refused:
        validate(ScimUserIn, {"userName": 1, "externalId": 2, "displayName": 3, "active": 4})

    assert refused.value.public_message.count("; ") == 2
    assert refused.value.public_message.startswith("userName: ")
