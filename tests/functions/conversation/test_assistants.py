"""Assistants: their settings and versions, who may use them, and for how long."""

import pytest

from tests.support.api_gateway import Person
from tests.support.builders import add_document

READER = {"name": "Reader", "picture": "\U0001f4dc", "instructions": "Answer briefly.", "starters": ["When does it end?"]}


@pytest.fixture
def create(conversation, alice):
    """Return a function that creates an assistant of alice and returns it."""

    def create(**fields):
        made = conversation.post("/assistants", READER | fields, as_=alice)
        assert made.status == 201, made.body
        return made.json

    return create


@pytest.fixture
def group(auth, alice, bob):
    """A group of alice's that bob has joined."""
    group_id = auth.post("/auth/groups", {"name": "Research"}, as_=alice).json["id"]
    auth.call("PUT", f"/auth/groups/{group_id}/members", {"email": bob.email}, as_=alice)
    assert auth.post(f"/auth/groups/{group_id}/join", as_=bob).status == 200
    return group_id


@pytest.fixture
def shared(conversation, create, group, alice):
    """An assistant of alice's, shared with the group."""
    id = create()["id"]
    assert conversation.call("PUT", f"/assistants/{id}/shares", {"group_id": group}, as_=alice).status == 204
    return id


def listed(conversation, person):
    return [item["id"] for item in conversation.get("/assistants", as_=person).json["items"]]


def change(conversation, assistant_id, person, **fields):
    return conversation.patch(f"/assistants/{assistant_id}", fields, as_=person)


def test_an_assistant_has_the_settings_it_was_created_with(conversation, create, alice):
    made = create(tools=["calculator"], memory="none")
    shown = conversation.get(f"/assistants/{made['id']}", as_=alice).json

    assert shown == made
    assert READER.items() <= shown.items()
    assert (shown["version"], shown["tools"], shown["documents"], shown["memory"]) == (1, ["calculator"], False, "none")
    assert (shown["is_own"], shown["shared"], shown["owner"]) == (True, False, None)


@pytest.mark.parametrize(
    "field",
    [
        {"name": ""},
        {"picture": "Admin"},
        {"picture": "https://x.org/"},
        {"picture": "\U0001f4dc\u202e"},
        {"starters": ["?"] * 7},
        {"memory": "some"},
        {"tools": 1},
    ],
)
def test_settings_out_of_bounds_are_refused(conversation, alice, field):
    assert conversation.post("/assistants", READER | field, as_=alice).status == 422


@pytest.mark.parametrize("picture", ["\U0001f469\u200d\U0001f4bb", "\u2696\ufe0f", "\U0001f1eb\U0001f1f7", "5\ufe0f\u20e3"])
def test_an_emoji_of_several_characters_is_a_picture(create, picture):
    assert create(picture=picture)["picture"] == picture


def test_a_change_is_a_new_version_and_leaves_the_old_one(conversation, create, alice):
    made = create()
    changed = change(conversation, made["id"], alice, instructions="Answer at length.", picture=None).json
    versions = conversation.get(f"/assistants/{made['id']}/versions", as_=alice).json["items"]

    assert (changed["version"], changed["instructions"], changed["picture"]) == (2, "Answer at length.", None)
    assert [(one["version"], one["instructions"]) for one in versions] == [(2, "Answer at length."), (1, "Answer briefly.")]


def test_a_change_that_changes_nothing_is_no_version(conversation, create, alice):
    assert change(conversation, create()["id"], alice, name="Reader").json["version"] == 1


def test_a_rollback_is_a_new_version_and_changes_no_old_one(conversation, create, alice):
    id = create()["id"]
    change(conversation, id, alice, instructions="Answer at length.")
    restored = conversation.post(f"/assistants/{id}/rollback", {"version": 1}, as_=alice).json
    versions = conversation.get(f"/assistants/{id}/versions", as_=alice).json["items"]

    assert (restored["version"], restored["instructions"]) == (3, "Answer briefly.")
    assert [one["instructions"] for one in versions] == ["Answer briefly.", "Answer at length.", "Answer briefly."]


def test_only_the_newest_versions_are_kept(conversation, create, alice, monkeypatch):
    monkeypatch.setattr("parley.db.assistants.versions.MAX_VERSIONS", 2)
    id = create()["id"]
    for number in range(3):
        change(conversation, id, alice, description=f"number {number}")

    assert [one["version"] for one in conversation.get(f"/assistants/{id}/versions", as_=alice).json["items"]] == [4, 3]
    assert conversation.post(f"/assistants/{id}/rollback", {"version": 1}, as_=alice).status == 404


def test_a_private_assistant_is_nobody_elses(conversation, create, bob):
    id = create()["id"]

    assert (listed(conversation, bob), conversation.get(f"/assistants/{id}", as_=bob).status) == ([], 404)


def test_a_member_uses_a_shared_assistant_but_cannot_change_it(conversation, shared, group, alice, bob):
    shown = conversation.get(f"/assistants/{shared}", as_=bob).json
    attempts = [
        change(conversation, shared, bob, name="Mine"),
        conversation.post(f"/assistants/{shared}/rollback", {"version": 1}, as_=bob),
        conversation.get(f"/assistants/{shared}/versions", as_=bob),
        conversation.get(f"/assistants/{shared}/shares", as_=bob),
        conversation.call("DELETE", f"/assistants/{shared}/shares", {"group_id": group}, as_=bob),
        conversation.delete(f"/assistants/{shared}", as_=bob),
    ]

    assert (listed(conversation, bob), shown["is_own"], shown["owner"]["email"]) == ([shared], False, alice.email)
    assert {attempt.status for attempt in attempts} == {404}


def test_a_removed_member_no_longer_sees_the_assistant(auth, conversation, shared, group, alice, bob):
    auth.call("DELETE", f"/auth/groups/{group}/members", {"email": bob.email}, as_=alice)

    assert (listed(conversation, bob), conversation.get(f"/assistants/{shared}", as_=bob).status) == ([], 404)


def test_an_owner_who_leaves_the_group_takes_the_assistant_along(auth, conversation, shared, group, alice, bob):
    auth.call("PUT", f"/auth/groups/{group}/members", {"email": bob.email, "role": "owner"}, as_=alice)
    auth.call("DELETE", f"/auth/groups/{group}/members", {"email": alice.email}, as_=alice)

    assert (listed(conversation, bob), listed(conversation, alice)) == ([], [shared])


def test_an_assistant_of_a_disabled_account_is_not_offered(conversation, shared, alice, bob, postgres):
    postgres.execute(f"UPDATE users SET disabled_at = now() WHERE id = '{alice.id}'", dbname="parley")

    assert listed(conversation, bob) == []


@pytest.fixture
def admin_alice(alice):
    """Alice while she is an admin."""
    return Person(alice.email, {}, alice.claims | {"scope": f"{alice.claims['scope']} admin"})


def test_only_an_admin_shares_with_everybody(conversation, create, alice, admin_alice, bob):
    id = create()["id"]

    assert change(conversation, id, alice, shared=True).status == 403
    assert change(conversation, id, admin_alice, shared=True).json["shared"]
    assert listed(conversation, bob) == [id]
    change(conversation, id, admin_alice, shared=False)
    assert listed(conversation, bob) == []


def test_an_owner_who_is_no_admin_any_more_can_only_end_the_share_with_everybody(conversation, create, alice, admin_alice, bob):
    id = create()["id"]
    change(conversation, id, admin_alice, name="Mine")
    change(conversation, id, admin_alice, shared=True)
    back = conversation.post(f"/assistants/{id}/rollback", {"version": 1}, as_=alice)

    assert (change(conversation, id, alice, name="Other").status, back.status) == (403, 403)
    assert conversation.get(f"/assistants/{id}", as_=bob).json["version"] == 2
    assert change(conversation, id, alice, shared=False).status == 200
    assert change(conversation, id, alice, name="Other").json["version"] == 3


def test_an_assistant_cannot_be_shared_with_a_group_of_others(auth, conversation, create, alice, bob):
    of_bob = auth.post("/auth/groups", {"name": "Sales"}, as_=bob).json["id"]

    assert conversation.call("PUT", f"/assistants/{create()['id']}/shares", {"group_id": of_bob}, as_=alice).status == 404


def test_a_document_that_its_author_cannot_read_is_refused(conversation, engine, alice, bob):
    private = str(add_document(engine, bob, "The safe is green."))

    assert conversation.post("/assistants", READER | {"documents": [private]}, as_=alice).status == 404


def test_every_assistant_is_on_one_page_of_the_list(conversation, create, alice):
    made = [create(name=str(number))["id"] for number in range(3)]
    first = conversation.get("/assistants?limit=2", as_=alice).json
    second = conversation.get(f"/assistants?limit=2&cursor={first['next_cursor']}", as_=alice).json

    assert [item["id"] for item in first["items"] + second["items"]] == made[::-1]
    assert (len(first["items"]), second["next_cursor"]) == (2, None)


def test_the_number_of_assistants_is_bounded(conversation, create, alice, monkeypatch):
    monkeypatch.setattr("functions.conversation.assistants.assistants.MAX_ASSISTANTS", 1)
    create()
    refused = conversation.post("/assistants", READER, as_=alice)

    assert (refused.status, refused.json["code"]) == (409, "too_many_assistants")


def test_a_conversation_is_given_an_assistant_that_its_user_may_use(conversation, create, alice, bob):
    id = create()["id"]
    made = conversation.post("/conversations", {"assistant_id": id}, as_=alice).json

    assert made["assistant_id"] == id
    assert conversation.post("/conversations", {"assistant_id": id}, as_=bob).status == 404
    assert conversation.patch(f"/conversations/{made['id']}", {"assistant_id": None}, as_=alice).json["assistant_id"] is None
