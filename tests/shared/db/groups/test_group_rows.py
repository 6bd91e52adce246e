"""A call that names a group, a member or an address reads or changes nothing else of groups.

The tests run as the superuser, whom no policy restricts.
"""

import pytest
from sqlalchemy.exc import NoResultFound

from parley.db.groups import membership
from parley.errors import NotFound
from tests.shared.db.group_world import address, rows_of

UNCHANGED = (set(), set())


def test_an_owner_of_the_group_changes_the_role_of_one_member(world):
    by_others = [world.changes(membership.set_role, world.Birds, world.bea, "owner", user_id=id) for id in (world.bea, world.cat)]
    by_owner = world.changes(membership.set_role, world.Birds, world.bea, "owner", user_id=world.ann)

    assert by_others == [UNCHANGED] * 2
    assert by_owner == ({"Birds: bea member, pays"}, {"Birds: bea owner, pays"})


@pytest.mark.parametrize("name", ["ann", "bea"])
def test_an_owner_of_the_group_or_the_member_ends_one_membership(world, name):
    by_others = [world.changes(membership.remove_member, world.Birds, world.bea, user_id=id) for id in (world.cat, world.dan)]
    removed, added = world.changes(membership.remove_member, world.Birds, world.bea, user_id=getattr(world, name))

    assert by_others == [UNCHANGED] * 2
    assert (removed, added) == ({"Birds: bea member, pays"}, set())


def test_an_owner_of_the_group_renames_it_alone(world):
    by_others = [world.changes(membership.rename, world.Birds, "Mine", user_id=id) for id in (world.bea, world.cat, world.dan)]
    removed, added = world.changes(membership.rename, world.Birds, "Mine", user_id=world.ann)

    assert by_others == [NotFound] * 3
    assert (removed, added) == (rows_of("Birds"), {row.replace("Birds", "Mine") for row in rows_of("Birds")})


def test_an_owner_of_the_group_deletes_it_alone(world):
    by_others = [world.changes(membership.remove, world.Birds, user_id=id) for id in (world.bea, world.cat, world.dan)]

    assert by_others == [NotFound] * 3
    assert world.changes(membership.remove, world.Birds, user_id=world.ann) == (rows_of("Birds"), set())


def test_one_invitation_is_withdrawn(world):
    assert world.changes(membership.withdraw, world.Birds, address("dan")) == ({"Birds: dan invited"}, set())


@pytest.mark.parametrize(("group", "member"), [("Birds", "Birds: dan member, pays"), ("Stars", "Stars: dan member")])
def test_an_invited_user_becomes_a_member_of_one_group_and_pays_only_with_a_budget(world, group, member):
    changed = world.changes(membership.join, getattr(world, group), address("dan"), user_id=world.dan)

    assert changed == ({f"{group}: dan invited"}, {member})


def test_the_longest_standing_member_succeeds_the_only_owner(world):
    changed = world.changes(membership.hand_over, user_id=world.ann)

    assert changed == ({"Birds: cat member, pays"}, {"Birds: cat owner, pays"})


def test_a_deleted_users_groups_without_other_members_are_those_that_nobody_manages(world):
    assert world.names(membership.hand_over(world.connection, user_id=world.ann)) == ["Hobby"]


def test_of_these_groups_the_empty_ones_are_deleted(world):
    assert world.changes(membership.remove_empty, [world.Birds, world.Empty]) == ({"Empty"}, set())


@pytest.mark.parametrize(("group", "name", "has_other"), [("Birds", "ann", False), ("Birds", "bea", True), ("Stars", "ann", True)])
def test_another_owner_is_an_owner_of_this_group(world, group, name, has_other):
    assert membership.has_other_owner(world.connection, getattr(world, group), getattr(world, name)) == has_other


def test_the_groups_of_a_user_are_counted(world):
    assert [membership.count(world.connection, user_id=id) for id in (world.ann, world.eve)] == [5, 1]


def test_only_owners_of_the_group_count_its_members_and_invitations(world):
    assert membership.count_members(world.connection, world.Birds, user_id=world.ann) == 5
    for user_id in (world.bea, world.cat, world.dan):
        with pytest.raises(NoResultFound):
            membership.count_members(world.connection, world.Birds, user_id=user_id)


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("bea", [("Sales", "member", 2), ("Moons", "invited", None), ("Stars", "member", 3), ("Birds", "member", 3)]),
        ("eve", [("Moons", "member", 2), ("Birds", "invited", None)]),
    ],
)
def test_a_user_sees_their_groups_and_invitations_with_their_role(world, name, seen):
    found = membership.page(world.connection, user_id=getattr(world, name), limit=9, after=None)

    assert [(group.name, group.role, group.members) for group in found] == seen
    assert membership.page(world.connection, user_id=getattr(world, name), limit=1, after=None) == found[:1]


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("ann", {"ann": "owner", "bea": "member", "cat": "member", "dan": "invited", "eve": "invited"}),
        ("cat", {"ann": "owner", "bea": "member", "cat": "member"}),
        ("eve", {"eve": "invited"}),
    ],
)
def test_only_owners_of_the_group_see_the_invitations_of_others(world, name, seen):
    user_id = getattr(world, name)
    world.act_as(user_id)
    found = membership.members(world.connection, world.Birds, user_id=user_id, limit=9)

    assert [(member.email, member.role) for member in found] == [(address(person), role) for person, role in seen.items()]
    assert membership.members(world.connection, world.Birds, user_id=user_id, limit=1) == found[:1]


def test_a_member_with_an_address_that_is_invited_too_is_found_once(world):
    membership.invite(world.connection, world.Birds, address("bea"))
    world.act_as(world.ann)

    assert membership.find_member(world.connection, world.Birds, address("bea"), user_id=world.ann).email == address("bea")
