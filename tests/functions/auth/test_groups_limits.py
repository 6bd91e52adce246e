"""Groups: how many there may be, who may be invited how, and what a change leaves as it was."""

import pytest

from tests.functions.auth.test_groups import code_of, roles
from tests.support.api_gateway import Person


def add_groups(postgres, person, count):
    """Store groups of which the person is a member."""
    made = f"INSERT INTO groups (id, name) SELECT gen_random_uuid(), 'x' FROM generate_series(1, {count}) RETURNING id"
    members = f"INSERT INTO group_members (user_id, group_id, role) SELECT '{person.id}', id, 'owner' FROM made"
    postgres.execute(f"WITH made AS ({made}) {members}", dbname="parley")


def invite_many(postgres, group_id, count):
    """Store invitations of addresses without an account."""
    rows = f"SELECT '{group_id}', 'x' || number || '@example.com' FROM generate_series(1, {count}) number"
    postgres.execute(f"INSERT INTO group_invitations (group_id, email) {rows}", dbname="parley")


def test_a_user_is_in_a_hundred_groups_at_most(auth, postgres, alice):
    add_groups(postgres, alice, 99)

    answers = [auth.post("/auth/groups", {"name": "Last"}, as_=alice) for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 409]
    assert answers[1].json["code"] == "too_many_groups"


def test_a_group_has_five_hundred_members_and_invitations_at_most(auth, postgres, alice, group, set_member):
    invite_many(postgres, group, 497)  # and two members

    assert set_member(group, "last@example.com", as_=alice).status == 200
    assert code_of(set_member(group, "late@example.com", as_=alice)) == (409, "too_many_members")


def test_each_of_two_owners_may_invite(group, alice, bob, set_member):
    set_member(group, bob.email, role="owner", as_=alice)

    assert [set_member(group, "grace@example.com", as_=person).status for person in (alice, bob)] == [200, 200]


def test_who_is_only_invited_cannot_become_an_owner(group, alice, set_member):
    set_member(group, "grace@example.com", as_=alice)

    assert code_of(set_member(group, "grace@example.com", role="owner", as_=alice)) == (409, "not_a_member")


def test_an_owner_renames_the_group_and_its_share_stays(auth, admin, group, alice):
    auth.patch(f"/admin/groups/{group}", {"monthly_budget_usd": 50, "member_budget_usd": 10}, as_=admin)
    renamed = auth.patch(f"/auth/groups/{group}", {"name": "Science"}, as_=alice).json
    shared = auth.patch(f"/auth/groups/{group}", {"name": None, "member_budget_usd": 20}, as_=alice).json

    assert (renamed["name"], renamed["member_budget_usd"]) == ("Science", 10)
    assert (shared["name"], shared["member_budget_usd"]) == ("Science", 20)


def test_the_log_tells_a_member_who_left_from_one_who_was_removed(auth, group, alice, bob, set_member, remove_member):
    remove_member(group, bob.email, as_=alice)
    set_member(group, bob.email, as_=alice)
    auth.post(f"/auth/groups/{group}/join", as_=bob)
    remove_member(group, bob.email, as_=bob)

    newest = [auth.get("/auth/audit?limit=1", as_=person).json["items"][0]["event"] for person in (alice, bob)]
    assert newest == ["group_member_removed", "group_left"]


def test_an_owner_becomes_a_member_again_while_another_owner_remains(auth, group, alice, bob, set_member):
    set_member(group, bob.email, role="owner", as_=alice)

    assert set_member(group, alice.email, as_=alice).status == 200
    assert roles(auth, group, bob) == {alice.email: "member", bob.email: "owner"}


def test_a_member_who_is_made_a_member_again_stays_one(auth, group, alice, bob, set_member):
    assert set_member(group, bob.email, as_=alice).json == {"mailed": False}
    assert "group_role_changed" not in str(auth.get("/auth/audit", as_=alice).json)


def test_an_address_that_is_no_member_cannot_be_removed(group, alice, remove_member):
    assert code_of(remove_member(group, "nobody@example.com", as_=alice)) == (404, "not_found")


@pytest.fixture
def lists(auth, admin, alice, bob, group):
    """The paths of lists with at least two items, and who reads them."""
    auth.post("/auth/groups", {"name": "Second"}, as_=alice)
    Person.signed_in(auth, alice.email)
    for _ in range(2):
        auth.post("/admin/invites", {}, as_=admin)
    own = ["/auth/groups", f"/auth/groups/{group}/members", "/auth/audit", "/auth/sessions"]
    return [(path, alice) for path in own] + [(path, admin) for path in ("/admin/groups", "/admin/users", "/admin/invites", "/admin/audit")]


def test_every_list_of_accounts_and_groups_goes_on_where_its_page_ends(auth, lists):
    for path, reader in lists:
        both = auth.get(f"{path}?limit=2", as_=reader).json["items"]
        first = auth.get(f"{path}?limit=1", as_=reader).json
        second = auth.get(f"{path}?limit=1&cursor={first['next_cursor']}", as_=reader).json

        assert len(both) == 2
        assert (path, first["items"] + second["items"]) == (path, both)
