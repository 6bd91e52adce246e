"""Links of a user beside those of another user with the same ids, without row level security."""

from contextlib import nullcontext
from datetime import timedelta

import pytest
from sqlalchemy import func
from sqlalchemy.exc import IntegrityError

from parley.clock import utc_now
from parley.db import conversations
from parley.db.links import shared_links
from parley.errors import NotFound
from parley.ids import new_id

LINK = {"messages": [], "title": None}


@pytest.fixture
def conversation_id(world):
    """The id of a conversation of ann's and of one of bea's."""
    id = new_id()
    for user_id in (world.ann, world.bea):
        conversations.add(world.connection, id, user_id=user_id)
    return id


@pytest.fixture
def add(world, conversation_id):
    """Return a function that adds a link of ann's and one of bea's with the same id, and returns this."""

    def add(token="token", *, days=1, audience="public", group_id=None):
        id = new_id()
        fields = {
            "conversation_id": conversation_id,
            "audience": audience,
            "group_id": group_id,
            "expires_at": func.now() + timedelta(days=days),
        }
        for user_id, prefix in ((world.ann, ""), (world.bea, "bea's ")):
            shared_links.add(world.connection, id, user_id=user_id, token=prefix + token, **LINK, **fields)
        return id

    return add


def listed(world, user_id, **options):
    return [link.id for link in shared_links.page(world.connection, user_id=user_id, **{"limit": 9, "after": None} | options)]


def test_the_links_of_one_user_that_have_not_expired_are_listed_newest_first(world, add):
    ids = [add(str(number), days=days) for number, days in enumerate((1, -1, 1))]

    assert listed(world, world.ann) == [ids[2], ids[0]]
    assert (listed(world, world.ann, after=ids[2]), listed(world, world.cat)) == ([ids[0]], [])
    assert [shared_links.count(world.connection, user_id=id) for id in (world.ann, world.cat)] == [3, 0]


def test_one_link_is_revoked_once(world, add):
    ids = [add("one"), add("two")]
    shared_links.remove(world.connection, ids[0], user_id=world.ann)
    with pytest.raises(NotFound):
        shared_links.remove(world.connection, ids[0], user_id=world.ann)

    assert (listed(world, world.ann), listed(world, world.bea)) == (ids[1:], ids[::-1])


def test_only_expired_links_are_swept(world, add):
    add("old", days=-1)
    id = add("new")
    shared_links.sweep(world.connection)

    assert (shared_links.count(world.connection, user_id=world.ann), listed(world, world.ann)) == (1, [id])


@pytest.mark.parametrize(("audience", "is_public"), [("public", True), ("signed_in", False)])
def test_a_link_is_read_by_its_audience(world, add, audience, is_public):
    add(audience=audience)
    world.act_as(world.cat)
    with nullcontext() if is_public else pytest.raises(NotFound):
        shared_links.find(world.connection, "token", is_signed_in=False)

    assert shared_links.find(world.connection, "token", is_signed_in=True).audience == audience


def test_a_wrong_token_leads_to_nothing(world, add):
    add()
    with pytest.raises(NotFound):
        shared_links.find(world.connection, "other", is_signed_in=True)


def test_a_link_for_a_group_of_others_is_refused_as_one_for_a_missing_group(world, add):
    with pytest.raises(NotFound, match="group"):
        add(audience="group", group_id=world.Moons)


def test_a_link_without_its_conversation_is_no_matter_of_groups(world):
    fields = {"conversation_id": new_id(), "audience": "public", "group_id": None, "expires_at": utc_now() + timedelta(days=1)}
    with pytest.raises(IntegrityError):
        shared_links.add(world.connection, new_id(), user_id=world.ann, token="token", **LINK, **fields)
