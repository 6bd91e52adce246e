"""Groups over HTTP: found, invite, join, hand over, leave, delete."""

import secrets
from dataclasses import replace
from decimal import Decimal

import pytest

from parley.db.accounts import administration
from parley.db.metering.budgets import current_budget
from parley.db.transactions import global_scope, user_scope
from parley.jobs import GroupInvitation
from tests.support.api_gateway import Person


@pytest.fixture
def grace():
    """An address that no other test invites: mails to an address are limited."""
    return f"{secrets.token_hex(6)}@example.com"


def roles(auth, group, person):
    items = auth.get(f"/auth/groups/{group}/members", as_=person).json["items"]
    return {item["email"]: item["role"] for item in items}


def code_of(answer):
    return answer.status, answer.json["code"]


def test_members_see_each_other_and_only_owners_see_invitations(auth, group, alice, bob, set_member):
    set_member(group, "grace@example.com", as_=alice)

    assert roles(auth, group, alice) == {alice.email: "owner", bob.email: "member", "grace@example.com": "invited"}
    assert roles(auth, group, bob) == {alice.email: "owner", bob.email: "member"}
    assert [(item["id"], item["members"]) for item in auth.get("/auth/groups", as_=bob).json["items"]] == [(group, 2)]


def test_inviting_does_not_tell_who_has_an_account(auth, group, alice, grace, set_member):
    stranger = Person.registered(auth)
    known, unknown = (set_member(group, email, as_=alice) for email in (stranger.email, grace))

    assert (known.status, known.json) == (unknown.status, unknown.json) == (200, {"mailed": True})
    listed = auth.get(f"/auth/groups/{group}/members", as_=alice).json["items"]
    shown = {item["email"]: {**item, "email": "", "created_at": ""} for item in listed}
    assert shown[stranger.email] == shown[grace]


def test_the_invited_see_the_groups_name_but_not_its_members(auth, group, alice, set_member):
    carol = Person.registered(auth)
    set_member(group, carol.email.upper(), as_=alice)

    (item,) = auth.get("/auth/groups", as_=carol).json["items"]
    assert (item["name"], item["role"], item["members"]) == ("Research", "invited", None)
    assert roles(auth, group, carol) == {carol.email: "invited"}


def test_an_invited_address_is_mailed_once(group, alice, grace, set_member, queued):
    queued()
    sent = [set_member(group, grace, as_=alice).json["mailed"] for _ in range(2)]

    assert sent == [True, False]
    assert queued() == [GroupInvitation(grace)]


def test_a_deployment_without_a_sender_says_that_no_mail_is_sent(group, alice, grace, set_member, queued, change_services):
    change_services(sends_mail=False)
    queued()

    assert set_member(group, grace, as_=alice).json == {"mailed": False}
    assert queued() == []


def test_an_address_that_may_not_register_is_invited_without_a_mail(auth, group, alice, grace, set_member, queued, set_registration_policy):
    set_registration_policy(domains="example.org")
    queued()

    assert set_member(group, grace, as_=alice).json == {"mailed": False}
    assert roles(auth, group, alice)[grace] == "invited"
    assert queued() == []


def test_an_owner_cannot_mail_an_address_again_and_again(group, alice, grace, set_member, remove_member):
    mailed = []
    for _ in range(4):
        mailed.append(set_member(group, grace, as_=alice).json["mailed"])
        remove_member(group, grace, as_=alice)

    assert mailed == [True, True, True, False]


def test_an_invitation_can_be_declined(auth, group, alice, set_member, remove_member):
    carol = Person.registered(auth)
    set_member(group, carol.email, as_=alice)

    assert remove_member(group, carol.email, as_=carol).status == 204
    assert code_of(auth.post(f"/auth/groups/{group}/join", as_=carol)) == (404, "not_found")


@pytest.mark.parametrize("what", ["rename", "delete", "invite", "remove"])
def test_only_owners_change_a_group(auth, group, alice, bob, set_member, remove_member, what):
    answer = {
        "rename": lambda: auth.patch(f"/auth/groups/{group}", {"name": "Mine"}, as_=bob),
        "delete": lambda: auth.delete(f"/auth/groups/{group}", as_=bob),
        "invite": lambda: set_member(group, "grace@example.com", as_=bob),
        "remove": lambda: remove_member(group, alice.email, as_=bob),
    }[what]()

    assert code_of(answer) == (403, "forbidden")


def test_the_last_owner_hands_the_group_over_before_leaving(auth, group, alice, bob, set_member, remove_member):
    for refused in (remove_member(group, alice.email, as_=alice), set_member(group, alice.email, as_=alice)):
        assert code_of(refused) == (409, "last_owner")
    assert set_member(group, bob.email, role="owner", as_=alice).json == {"mailed": False}
    assert remove_member(group, alice.email, as_=alice).status == 204

    assert roles(auth, group, bob) == {bob.email: "owner"}
    assert auth.get(f"/auth/groups/{group}", as_=alice).status == 404


def test_who_is_no_member_cannot_become_an_owner(group, alice, set_member):
    assert code_of(set_member(group, "grace@example.com", role="owner", as_=alice)) == (409, "not_a_member")


def test_a_member_without_an_invitation_left_cannot_return(auth, group, alice, bob, remove_member):
    assert remove_member(group, bob.email, as_=alice).status == 204

    assert code_of(auth.post(f"/auth/groups/{group}/join", as_=bob)) == (404, "not_found")


@pytest.fixture
def invited_member(auth, group, alice, bob, set_member, postgres):
    """Bob, a member who has changed to an address that alice had invited, too."""
    email = f"b.{bob.email}"
    assert set_member(group, email, as_=alice).status == 200
    postgres.execute(f"UPDATE users SET email = '{email}' WHERE id = '{bob.id}'", dbname="parley")
    return replace(bob, email=email)


def test_a_member_with_an_invited_address_is_listed_once_and_becomes_an_owner(auth, group, alice, invited_member, set_member):
    listed = [item["email"] for item in auth.get(f"/auth/groups/{group}/members", as_=alice).json["items"]]
    assert listed == sorted([alice.email, invited_member.email])

    assert set_member(group, invited_member.email, role="owner", as_=alice).status == 200
    assert roles(auth, group, alice) == {alice.email: "owner", invited_member.email: "owner"}


def test_a_removed_member_does_not_return_by_an_old_invitation(auth, group, alice, invited_member, remove_member):
    assert remove_member(group, invited_member.email, as_=alice).status == 204

    assert roles(auth, group, alice) == {alice.email: "owner"}
    assert code_of(auth.post(f"/auth/groups/{group}/join", as_=invited_member)) == (404, "not_found")


def test_the_longest_standing_member_inherits_the_group_of_a_deleted_account(auth, engines, group, alice, bob):
    with global_scope(engines["background"]) as connection:
        administration.erase(connection, alice.id)

    assert roles(auth, group, bob) == {bob.email: "owner"}


def test_a_group_has_an_end_of_members_and_a_user_one_of_groups(auth, group, alice, set_member, monkeypatch):
    monkeypatch.setattr("functions.auth.groups.membership.MAX_MEMBERS", 2)
    monkeypatch.setattr("functions.auth.groups.membership.MAX_GROUPS", 1)

    assert code_of(set_member(group, "grace@example.com", as_=alice)) == (409, "too_many_members")
    assert code_of(auth.post("/auth/groups", {"name": "Second"}, as_=alice)) == (409, "too_many_groups")


def test_the_account_log_names_the_group(auth, group, alice, bob):
    for person, event in ((alice, "group_founded"), (bob, "group_joined")):
        items = auth.get("/auth/audit", as_=person).json["items"]
        assert [item["detail"] for item in items if item["event"] == event] == [{"group_id": group}]


@pytest.fixture
def fund(auth, admin):
    """Return a function that sets a group's budgets as an admin."""
    return lambda group, **budgets: auth.patch(f"/admin/groups/{group}", budgets, as_=admin)


def test_an_admin_sets_a_groups_budget_and_its_members_see_it(auth, group, bob, fund):
    shown = fund(group, monthly_budget_usd=50, member_budget_usd=10).json
    assert (shown["members"], shown["monthly_budget_usd"], shown["member_budget_usd"], shown["spent_usd"]) == (2, 50, 10, 0)

    seen = auth.get(f"/auth/groups/{group}", as_=bob).json
    assert (seen["monthly_budget_usd"], seen["member_budget_usd"], seen["spent_usd"]) == (50, 10, 0)
    assert fund(group, member_budget_usd=20).json["monthly_budget_usd"] == 50
    assert fund(group, monthly_budget_usd=None).json["monthly_budget_usd"] is None


def test_a_user_is_a_member_of_one_group_with_a_budget_only(auth, group, bob, set_member, fund):
    other = auth.post("/auth/groups", {"name": "Other"}, as_=bob).json["id"]
    assert fund(group, monthly_budget_usd=50).status == 200

    assert code_of(fund(other, monthly_budget_usd=5)) == (409, "paid_by_another_group")
    assert auth.get(f"/auth/groups/{other}", as_=bob).json["monthly_budget_usd"] is None


def test_who_has_a_paying_group_cannot_join_another(auth, group, alice, bob, set_member, fund):
    carol = Person.registered(auth)
    other = auth.post("/auth/groups", {"name": "Other"}, as_=carol).json["id"]
    set_member(other, bob.email, as_=carol)
    assert fund(group, monthly_budget_usd=50).status == fund(other, monthly_budget_usd=5).status == 200

    assert code_of(auth.post(f"/auth/groups/{other}/join", as_=bob)) == (409, "paid_by_another_group")


def test_an_owner_divides_the_budget_of_the_group_but_cannot_exceed_it(auth, group, alice, bob, fund):
    divide = lambda usd, person: auth.patch(f"/auth/groups/{group}", {"member_budget_usd": usd}, as_=person)  # noqa: E731
    assert code_of(divide(5, alice)) == (409, "share_too_large")
    fund(group, monthly_budget_usd=50)

    assert divide(10, alice).json["member_budget_usd"] == 10
    assert code_of(divide(50.01, alice)) == (409, "share_too_large")
    assert code_of(divide(20, bob)) == (403, "forbidden")
    assert auth.get(f"/auth/groups/{group}", as_=bob).json["member_budget_usd"] == 10
    assert divide(None, alice).json["member_budget_usd"] is None


def test_an_owner_may_give_each_member_the_whole_budget(auth, group, alice, fund):
    fund(group, monthly_budget_usd=20.1)  # as a binary fraction it is a little more than that

    assert auth.patch(f"/auth/groups/{group}", {"member_budget_usd": 20.1}, as_=alice).json["member_budget_usd"] == 20.1


def test_a_share_ends_with_the_budget_of_the_group(engine, group, bob, fund):
    budgets = []
    for pool_usd in (50, None):
        fund(group, monthly_budget_usd=pool_usd, member_budget_usd=40)
        with user_scope(engine, bob.id) as connection:
            budgets.append(current_budget(connection, user_id=bob.id, default_usd=Decimal(5)).monthly_usd)

    assert budgets == [40, 5]
