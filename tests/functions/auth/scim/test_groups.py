"""Groups over SCIM: made and changed by the identity provider, and by nobody else."""

import pytest

from functions.auth.scim import groups
from parley.db.accounts import administration
from parley.db.scim import groups as stored_groups
from parley.db.transactions import global_scope
from tests.functions.auth.scim.provider import GROUP, refusal
from tests.support.api_gateway import Person
from tests.support.builders import upload_document

UNKNOWN = "01996f6a-0000-7000-8000-000000000009"


@pytest.fixture
def group(provider, alice, bob):
    """A managed group with alice and bob."""
    return provider.create_group("Sales", str(alice.id), str(bob.id))


def test_members_see_a_managed_group(auth, provider, group, alice):
    (seen,) = auth.get("/auth/groups", as_=alice).json["items"]

    assert (seen["id"], seen["name"], seen["role"], seen["members"], seen["is_managed"]) == (group["id"], "Sales", "member", 2, True)
    assert provider.call("GET", f"/Groups/{group['id']}").json == group
    assert group["members"][0] == {
        "value": str(alice.id),
        "display": alice.email,
        "$ref": f"https://api.example.com/prod/scim/v2/Users/{alice.id}",
    }


def test_no_member_changes_or_leaves_a_managed_group(auth, group, alice, bob):
    path = f"/auth/groups/{group['id']}"
    refused = [
        auth.patch(path, {"name": "Mine"}, as_=alice),
        auth.delete(path, as_=alice),
        auth.call("PUT", f"{path}/members", {"email": "x@example.com"}, as_=alice),
        auth.call("DELETE", f"{path}/members", {"email": bob.email}, as_=alice),
        auth.call("DELETE", f"{path}/members", {"email": alice.email}, as_=alice),
    ]

    codes = [(answer.status, answer.json["code"]) for answer in refused]
    assert codes == [(403, "forbidden")] * 3 + [(409, "group_managed")] * 2


def test_groups_that_users_found_are_not_the_providers(auth, provider, alice):
    id = auth.post("/auth/groups", {"name": "Private"}, as_=alice).json["id"]

    assert provider.find("Groups", 'displayName eq "private"') == []
    for method, body in (("GET", None), ("DELETE", None), ("PUT", {"displayName": "Taken"})):
        assert refusal(provider.call(method, f"/Groups/{id}", body)) == (404, None)


@pytest.mark.parametrize("name", ["İnsan Kaynakları", "ΤΜΗΜΑΣ"])
def test_a_group_is_found_by_letters_that_languages_lower_in_different_ways(provider, alice, name):
    id = provider.create_group(f"{alice.id} {name}")["id"]

    found = [provider.find("Groups", f'displayName {operator} "{alice.id} {name}"') for operator in ("eq", "co", "sw", "ew")]
    assert found == [[id]] * 4


def test_a_group_is_found_by_name_external_id_and_member(provider, alice, bob):
    id = provider.create_group(f"Team {alice.id}", str(alice.id), externalId=f"g-{alice.id}")["id"]

    assert provider.find("Groups", f'displayName eq "TEAM {alice.id}"') == [id]
    assert provider.find("Groups", f'externalId eq "g-{alice.id}"') == [id]
    assert provider.find("Groups", f'id eq "{id}" and members eq "{alice.id}"') == [id]
    assert provider.find("Groups", f'id eq "{id}" and members eq "{bob.id}"') == []
    assert provider.find("Groups", f'id eq "{id}" and members co "{alice.id}"') == []
    assert provider.find("Groups", 'members eq "nobody"') == []


def test_no_group_is_found_by_two_members_at_once_or_by_a_part_of_its_id(provider, group, alice, bob):
    both = f'members eq "{alice.id}" and members eq "{bob.id}"'

    assert provider.find("Groups", f'id eq "{group["id"]}" and {both}') == []
    assert provider.find("Groups", f'id co "{group["id"]}"') == []
    assert provider.find("Groups", "displayName eq true") == []
    assert provider.call("GET", "/Groups?filter=displayName%20eq%20true").json["totalResults"] == 0


def test_members_are_left_out_on_request(provider, group):
    path = f"/Groups/{group['id']}?excludedAttributes=members"
    listed = provider.call("GET", f"/Groups?excludedAttributes=members&filter=id%20eq%20%22{group['id']}%22").json["Resources"]

    assert "members" not in provider.call("GET", path).json
    assert "members" not in listed[0]
    assert provider.call("GET", f"/Groups/{group['id']}?attributes=displayName").json.keys() == {"schemas", "id", "displayName"}


def test_a_page_of_groups_has_no_more_members_than_a_group_may_have(provider, alice, bob, monkeypatch):
    members = [(str(alice.id), str(bob.id)), (str(alice.id),), (str(alice.id),), ()]
    ids = [provider.create_group(f"Page {alice.id}", *some)["id"] for some in members]
    monkeypatch.setattr(groups, "MAX_MEMBERS", 1)
    filter = f'displayName eq "page {alice.id}"'
    pages = [provider.find("Groups", filter, startIndex=str(start)) for start in (1, 2, 3)]

    assert pages == [[ids[0]], [ids[1]], ids[2:]]
    monkeypatch.setattr(groups, "MAX_MEMBERS", 2)
    assert provider.find("Groups", filter, startIndex="2") == ids[1:]
    assert provider.find("Groups", filter, excludedAttributes="members") == ids


def test_members_that_are_not_wanted_are_not_read(provider, group, monkeypatch):
    monkeypatch.delattr(groups, "members_of")

    for query in ("excludedAttributes=members", "attributes=displayName"):
        assert provider.call("GET", f"/Groups/{group['id']}?{query}").json["displayName"] == "Sales"
        assert provider.call("GET", f"/Groups?{query}&count=1").status == 200


def test_a_replaced_group_keeps_what_staying_members_share(documents, provider, group, alice, bob):
    id = upload_document(documents, alice).json["id"]
    shared = documents.call("PUT", f"/documents/{id}/shares", {"group_id": group["id"]}, as_=alice)
    assert shared.status == 204, shared.body
    body = {"schemas": [GROUP], "displayName": "Sales", "members": [{"value": str(alice.id)}]}

    assert provider.call("PUT", f"/Groups/{group['id']}", body).json["members"] == [group["members"][0]]
    assert documents.get(f"/documents/{id}/shares", as_=alice).json["items"] != []


def test_a_member_without_an_account_is_refused_and_nothing_is_stored(provider, alice):
    body = {"schemas": [GROUP], "displayName": "Half", "members": [{"value": str(alice.id)}, {"value": UNKNOWN}]}

    assert refusal(provider.call("POST", "/Groups", body)) == (400, "invalidValue")
    assert provider.find("Groups", 'displayName eq "Half"') == []


def test_a_request_names_a_thousand_members_at_most(provider, group):
    change = {"op": "add", "path": "members", "value": [{"value": UNKNOWN}] * 1001}

    assert refusal(provider.patch(f"/Groups/{group['id']}", change)) == (400, "tooMany")


def test_a_group_has_an_end_of_members(provider, group, admin, monkeypatch):
    monkeypatch.setattr(groups, "MAX_MEMBERS", 2)
    same = {"op": "replace", "path": "members", "value": group["members"]}
    third = {"op": "add", "path": "members", "value": [{"value": str(admin.id)}]}

    assert provider.patch(f"/Groups/{group['id']}", same).status == 204
    assert refusal(provider.patch(f"/Groups/{group['id']}", third)) == (400, "tooMany")


@pytest.mark.parametrize(("count", "status"), [(10_000, 204), (10_001, 400)])
def test_a_group_has_ten_thousand_members_at_most(provider, group, admin, monkeypatch, count, status):
    monkeypatch.setattr(stored_groups, "count_members", lambda _, ids: dict.fromkeys(ids, count))
    third = {"op": "add", "path": "members", "value": [{"value": str(admin.id)}]}

    assert provider.patch(f"/Groups/{group['id']}", third).status == status


def test_a_replaced_membership_leaves_only_the_new_members(provider, group, alice, admin):
    replace = {"op": "replace", "path": "members", "value": [{"value": str(alice.id)}, {"value": str(admin.id)}]}

    assert provider.patch(f"/Groups/{group['id']}", replace).status == 204
    assert provider.members(group) == {str(alice.id), str(admin.id)}


def test_an_external_id_is_taken_once(provider, alice):
    one, two = provider.create_group("One", externalId=f"g-{alice.id}"), provider.create_group("Two")
    body = {"displayName": "Two", "externalId": f"g-{alice.id}"}

    assert refusal(provider.call("POST", "/Groups", body)) == (409, "uniqueness")
    assert refusal(provider.call("PUT", f"/Groups/{two['id']}", body)) == (409, "uniqueness")
    assert provider.call("PUT", f"/Groups/{one['id']}", body).json["displayName"] == "Two"


def test_an_admin_funds_a_managed_group(auth, provider, group, admin, alice):
    path, other = f"/admin/groups/{group['id']}", provider.create_group("Other")
    assert auth.patch(path, {"monthly_budget_usd": 5}, as_=admin).status == 200
    assert auth.patch(f"/admin/groups/{other['id']}", {"monthly_budget_usd": 5}, as_=admin).status == 200
    second = {"op": "add", "path": "members", "value": [{"value": str(alice.id)}]}

    assert refusal(provider.patch(f"/Groups/{other['id']}", second)) == (409, None)


def test_a_deleted_group_is_gone(auth, provider, group, alice, admin):
    assert provider.call("DELETE", f"/Groups/{group['id']}").status == 204

    assert refusal(provider.call("GET", f"/Groups/{group['id']}")) == (404, None)
    assert auth.get("/auth/groups", as_=alice).json["items"] == []
    rows = auth.get("/admin/audit?action=scim_group_deleted", as_=admin).json["items"]
    assert (rows[0]["actor"], rows[0]["detail"]) == ("scim", {"group_id": group["id"]})


def test_the_audit_names_who_joins_and_leaves(auth, provider, group, alice, bob, admin):
    add, remove = {"op": "add", "path": "members"}, {"op": "remove", "path": f'members[value eq "{bob.id}"]'}
    provider.patch(f"/Groups/{group['id']}", add | {"value": [{"value": str(alice.id)}, {"value": str(admin.id)}]})
    provider.patch(f"/Groups/{group['id']}", remove)
    provider.call("PUT", f"/Groups/{group['id']}", {"displayName": "Sales", "members": [{"value": str(admin.id)}]})
    listed = auth.get("/admin/audit?limit=100", as_=admin).json["items"]
    rows = [row for row in listed if row["detail"] == {"group_id": group["id"]} and row["account_id"]]
    found = [(row["action"], row["account_id"]) for row in rows]

    assert found[:3] == [("group_left", str(alice.id)), ("group_left", str(bob.id)), ("group_joined", str(admin.id))]
    assert set(found[3:]) == {("group_joined", str(alice.id)), ("group_joined", str(bob.id))}
    assert {(row["actor"], row["actor_id"]) for row in rows} == {("scim", None)}


def test_a_deleted_user_leaves_the_managed_groups_and_no_other(auth, provider, group, alice, verify):
    verify(alice)
    auth.post("/auth/groups", {"name": "Own"}, as_=alice)
    provider.call("DELETE", f"/Users/{alice.id}")
    provider.create(alice.email)

    assert str(alice.id) not in provider.members(group)


def test_the_audit_names_the_groups_that_a_deleted_user_leaves(auth, provider, group, alice, admin):
    provider.call("DELETE", f"/Users/{alice.id}")
    rows = auth.get(f"/admin/audit?action=group_left&account_id={alice.id}", as_=admin).json["items"]

    assert [(row["actor"], row["actor_id"], row["detail"]) for row in rows] == [("scim", None, {"group_id": group["id"]})]


def test_a_managed_group_outlives_its_last_member(auth, provider, engines):
    someone = Person.registered(auth)
    group = provider.create_group("Empty soon", str(someone.id))
    with global_scope(engines["background"]) as connection:
        administration.erase(connection, someone.id)

    assert provider.call("GET", f"/Groups/{group['id']}").json["members"] == []
