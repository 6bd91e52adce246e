"""A share is of one document of one owner, with one group, without row level security, too."""

import pytest
from sqlalchemy import text

from parley.db.groups import shares
from parley.db.groups.shares import DOCUMENTS
from parley.db.tables import document_shares, documents
from parley.errors import NotFound
from parley.ids import new_id

# The documents and the groups that they are shared with: two owners have a document with the same id.
SHARED = {
    ("ann", "Nests"): ["Birds", "Stars"],
    ("ann", "Eggs"): ["Birds"],
    ("bea", "Nests"): ["Birds"],
    ("ann", "Diary"): [],
    ("dan", "Orbits"): ["Moons"],
}
_SHARES = text("SELECT user_id, document_id, group_id FROM document_shares WHERE user_id = ANY(:owners)")


class Documents:
    """The documents in a world of people and groups."""

    def __init__(self, world):
        self.world, self.connection = world, world.connection
        self.ids = {title: new_id() for _, title in SHARED}
        for (owner, title), found in SHARED.items():
            values = {"user_id": getattr(world, owner), "id": self.ids[title], "title": f"{title} of {owner}"}
            world.insert(documents, [values | {"filename": "x", "content_type": "x", "bytes": 1}])
            for group in found:
                row = {"user_id": getattr(world, owner), "document_id": self.ids[title], "group_id": getattr(world, group)}
                world.insert(document_shares, [row])
        self._titles = {id: title for title, id in self.ids.items()}

    def shares(self):
        owners = [self.world.ann, self.world.bea, self.world.dan]
        rows = self.connection.execute(_SHARES, {"owners": owners})
        return {(self.world.names([row[0]])[0], self._titles[row[1]], self.world.names([row[2]])[0]) for row in rows}

    def readable(self, name, *titles):
        """Return the titles of those of the documents that a person can read."""
        user_id = getattr(self.world, name)
        self.world.act_as(user_id)
        wanted = documents.c.id.in_([self.ids[title] for title in titles])
        return sorted(self.connection.scalars(shares.select_readable([documents.c.title], wanted, user_id=user_id)))


@pytest.fixture
def shelf(world):
    return Documents(world)


def test_one_share_of_one_owner_ends(shelf):
    before = shelf.shares()
    shares.remove(shelf.connection, DOCUMENTS, shelf.ids["Nests"], shelf.world.Birds, user_id=shelf.world.ann)

    assert before - shelf.shares() == {("ann", "Nests", "Birds")}


@pytest.mark.parametrize(("title", "group"), [("Diary", "Birds"), ("Eggs", "Stars"), ("Orbits", "Moons")])
def test_a_share_that_does_not_exist_cannot_end(shelf, title, group):
    before = shelf.shares()
    with pytest.raises(NotFound):
        shares.remove(shelf.connection, DOCUMENTS, shelf.ids[title], getattr(shelf.world, group), user_id=shelf.world.ann)

    assert shelf.shares() == before


def test_the_groups_of_one_document_are_listed_by_name(shelf):
    listed = shares.list_all(shelf.connection, DOCUMENTS, shelf.ids["Nests"], user_id=shelf.world.ann)

    assert [share.name for share in listed] == ["Birds", "Stars"]


@pytest.mark.parametrize("title", ["Orbits", "Eggs"])
def test_only_the_owner_shares_a_document(shelf, title):
    with pytest.raises(NotFound):
        shares.add(shelf.connection, DOCUMENTS, shelf.ids[title], shelf.world.Birds, user_id=shelf.world.bea)


def test_a_document_is_shared_with_one_group_more(shelf):
    before = shelf.shares()
    for _ in range(2):  # the second time changes nothing
        shares.add(shelf.connection, DOCUMENTS, shelf.ids["Eggs"], shelf.world.Stars, user_id=shelf.world.ann)

    assert shelf.shares() - before == {("ann", "Eggs", "Stars")}


@pytest.mark.parametrize(
    ("name", "readable"),
    [
        ("ann", ["Diary of ann", "Eggs of ann", "Nests of ann", "Nests of bea"]),
        ("cat", ["Eggs of ann", "Nests of ann", "Nests of bea"]),
        ("dan", ["Orbits of dan"]),
        ("eve", ["Orbits of dan"]),
    ],
)
def test_a_user_reads_own_documents_and_those_of_their_groups_once(shelf, name, readable):
    assert shelf.readable(name, *shelf.ids) == readable


def test_a_document_for_everybody_is_read_once(shelf):
    shelf.connection.execute(documents.update().where(documents.c.id == shelf.ids["Eggs"]).values(is_shared=True))

    assert [shelf.readable(name, "Eggs", "Diary") for name in ("cat", "dan")] == [["Eggs of ann"]] * 2


def test_the_owners_that_a_user_knows_are_the_others_of_their_groups(shelf):
    world = shelf.world
    world.act_as(world.cat)
    found = [shares.owners(shelf.connection, ids, user_id=world.cat) for ids in ([world.ann, world.cat, world.dan], [world.cat], [])]

    assert [world.names(owners) for owners in found] == [["ann"], [], []]
