"""Projects of a user beside those of others with the same ids: their documents and conversations, and how many there are."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from parley.db import conversations
from parley.db.projects import bulk_changes, projects
from parley.db.projects.projects import TooManyProjects
from parley.db.tables import conversations as conversations_table
from parley.db.tables import documents
from parley.db.tables import projects as projects_table
from parley.db.transactions import user_scope
from parley.errors import NotFound
from parley.ids import new_id

FIELDS = {"instructions": None, "memory_scope": "all"}


@pytest.fixture
def document_ids(world):
    """The ids of two documents of ann's. Bea has two with the same ids."""
    ids = sorted(new_id() for _ in range(2))
    for user_id in (world.ann, world.bea):
        world.insert(
            documents, [{"user_id": user_id, "id": id, "title": "x", "filename": "x", "content_type": "x", "bytes": 1} for id in ids]
        )
    return ids


@pytest.fixture
def add(world):
    """Return a function that adds a project of a person, and returns its id."""

    def add(name, *, id=None, documents=(), **fields):
        values = {"name": "Birds", "documents": list(documents)} | FIELDS | fields
        return projects.add(world.connection, id or new_id(), user_id=getattr(world, name), **values).id

    return add


def documents_of(world, name, id):
    return list(projects.get(world.connection, id, user_id=getattr(world, name)).documents)


def test_the_documents_of_one_project_are_replaced(world, add, document_ids):
    id = add("ann", documents=document_ids)
    other = add("ann", documents=document_ids)
    add("bea", id=id, documents=document_ids)
    projects.change(world.connection, id, user_id=world.ann, changes={"documents": document_ids[:1]})
    found = [documents_of(world, name, project) for name, project in (("ann", id), ("ann", other), ("bea", id))]

    assert found == [document_ids[:1], document_ids, document_ids]


def test_a_project_takes_no_document_that_does_not_exist(world, add, document_ids):
    with pytest.raises(NotFound):
        add("ann", documents=[*document_ids, new_id()])


def test_a_user_has_up_to_200_projects_however_many_others_have(world, add):
    for user_id, count in ((world.ann, 199), (world.bea, 205)):
        world.insert(projects_table, [{"user_id": user_id, "id": new_id(), "name": "x"} for _ in range(count)])
    add("ann")
    with pytest.raises(TooManyProjects):
        add("ann")


def test_a_page_of_projects_counts_the_bytes_of_their_instructions_only(world, add):
    for instructions in ("y", None, "x" * 5):
        add("ann", instructions=instructions)
    found = projects.page(world.connection, user_id=world.ann, limit=9, max_bytes=5, after=None)

    assert ([project.instructions for project in found.rows], found.has_more) == (["x" * 5, None], True)


def test_several_requests_use_a_project_at_once_and_only_its_deletion_waits(engine, engines, alice):
    id = new_id()
    with user_scope(engine, alice.id) as connection:
        projects.add(connection, id, user_id=alice.id, name="Birds", documents=[], **FIELDS)
    with engines["owner"].connect() as other, user_scope(engine, alice.id) as connection:
        other.execute(
            text("SELECT set_config('parley.user_id', :id, true), set_config('lock_timeout', '50ms', true)"), {"id": str(alice.id)}
        )
        projects.require(connection, id, user_id=alice.id)
        projects.require(other, id, user_id=alice.id)
        renamed = projects.change(other, id, user_id=alice.id, changes={"name": "Terns"})
        with pytest.raises(OperationalError, match="lock timeout"):
            projects.lock(other, id, user_id=alice.id)

    assert renamed.name == "Terns"


@pytest.fixture
def talk_ids(world):
    """The ids of three conversations of ann's. Bea has three with the same ids."""
    ids = [new_id() for _ in range(3)]
    for user_id in (world.ann, world.bea):
        for id in ids:
            conversations.add(world.connection, id, user_id=user_id)
    return ids


def column(world, name, user, ids):
    mine = (conversations_table.c.user_id == getattr(world, user), conversations_table.c.id.in_(ids))
    found = dict(world.connection.execute(select(conversations_table.c.id, conversations_table.c[name]).where(*mine)).all())
    return [found.get(id) for id in ids]


@pytest.mark.parametrize(("action", "archived"), [("archive", True), ("unarchive", False)])
def test_the_conversations_that_are_named_are_archived(world, talk_ids, action, archived):
    world.connection.execute(text("UPDATE conversations SET is_archived = :not"), {"not": not archived})
    result = bulk_changes.change_many(world.connection, talk_ids[:2], user_id=world.ann, action=action)

    assert [each.outcome for each in result] == ["done", "done"]
    assert column(world, "is_archived", "ann", talk_ids) == [archived, archived, not archived]
    assert column(world, "is_archived", "bea", talk_ids) == [not archived] * 3


def test_a_conversation_has_at_most_twenty_tags(world, talk_ids):
    for id, count in zip(talk_ids, (19, 20, 20), strict=True):
        tags = [f"tag {number}" for number in range(count)]
        world.connection.execute(text("UPDATE conversations SET tags = :tags WHERE id = :id"), {"tags": tags, "id": id})
    missing = new_id()
    ids = [talk_ids[1], missing, talk_ids[0]]
    result = bulk_changes.change_many(world.connection, ids, user_id=world.ann, action="tag", tag="new")

    assert [(each.id, each.outcome) for each in result] == list(zip(ids, ("too_many_tags", "not_found", "done"), strict=True))
    assert [len(tags) for tags in column(world, "tags", "ann", talk_ids)] == [20, 20, 20]
    assert [len(tags) for tags in column(world, "tags", "bea", talk_ids)] == [19, 20, 20]


@pytest.mark.parametrize("with_conversations", [False, True])
def test_one_project_is_deleted_with_its_own_conversations_or_without(world, add, talk_ids, with_conversations):
    id, other = add("ann"), add("ann")
    add("bea", id=id)
    for user_id in (world.ann, world.bea):
        bulk_changes.change_many(world.connection, talk_ids[:1], user_id=user_id, action="move", project_id=id)
    bulk_changes.change_many(world.connection, talk_ids[1:2], user_id=world.ann, action="move", project_id=other)
    bulk_changes.remove_project(world.connection, id, user_id=world.ann, with_conversations=with_conversations)

    assert column(world, "id", "ann", talk_ids) == [None if with_conversations else talk_ids[0], *talk_ids[1:]]
    assert column(world, "project_id", "ann", talk_ids) == [None, other, None]
    assert column(world, "project_id", "bea", talk_ids) == [id, None, None]
