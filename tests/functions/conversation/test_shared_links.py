"""Links to snapshots of conversations: who may read them, for how long, and what they show."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from functions.conversation.links.shared_links import TooLongToShare, _snapshot
from parley.memory.passages import Utterance
from tests.support.api_gateway import Person
from tests.support.builders import add_steered_turn


@pytest.fixture
def talk(chat, alice):
    """A conversation of alice with one question and its answer."""
    return chat.post("/chat", {"message": "What is 6 * 7?", "model": "offline", "stream": False}, as_=alice).json["conversation_id"]


@pytest.fixture
def share(conversation, alice, talk):
    """Share alice's conversation, and return the link."""

    def share(**body):
        made = conversation.post(f"/conversations/{talk}/links", body, as_=alice)
        assert made.status == 201, made.body
        return made.json

    return share


def view(conversation, link, as_=None):
    path = "/links/view" if as_ else "/links/view-public"
    return conversation.post(path, {"token": link["token"]}, as_=as_)


def test_anyone_reads_a_public_link(conversation, share):
    shown = view(conversation, share(audience="public"))

    assert [message["role"] for message in shown.json["messages"]] == ["user", "assistant"]
    assert (shown.json["messages"][0]["text"], shown.headers["x-robots-tag"]) == ("What is 6 * 7?", "noindex")


def test_a_shared_conversation_does_not_say_whose_it_is(conversation, share, talk, alice):
    body = str(view(conversation, share(audience="public")).json)

    assert [word for word in (str(alice.id), alice.email, talk) if word in body] == []


def test_a_link_for_signed_in_users_needs_an_account(conversation, share, bob):
    link = share(audience="signed_in")

    assert [view(conversation, link).status, view(conversation, link, bob).status] == [404, 200]


def test_a_signed_in_user_reads_a_public_link_too(conversation, share, bob):
    assert view(conversation, share(audience="public"), bob).status == 200


@pytest.fixture
def group(auth, alice, bob):
    """A group of alice's that bob has joined."""
    group_id = auth.post("/auth/groups", {"name": "Research"}, as_=alice).json["id"]
    auth.call("PUT", f"/auth/groups/{group_id}/members", {"email": bob.email}, as_=alice)
    assert auth.post(f"/auth/groups/{group_id}/join", as_=bob).status == 200
    return group_id


def test_a_link_for_a_group_is_read_and_copied_by_its_members_only(auth, conversation, share, group, alice, bob):
    link, stranger = share(audience="group", group_id=group), Person.registered(auth)

    assert [view(conversation, link, person).status for person in (None, stranger, bob, alice)] == [404, 404, 200, 200]
    copied = [conversation.post("/links/copy", {"token": link["token"]}, as_=person).status for person in (stranger, bob)]
    assert (copied, link["audience"], link["group_id"]) == ([404, 201], "group", group)


def test_a_former_member_no_longer_reads_a_link_for_the_group(auth, conversation, share, group, alice, bob):
    link = share(group_id=group)
    auth.call("DELETE", f"/auth/groups/{group}/members", {"email": bob.email}, as_=alice)

    assert view(conversation, link, bob).status == 404


def test_a_link_for_a_group_ends_when_its_owner_leaves_the_group(auth, conversation, share, group, alice, bob):
    link = share(group_id=group)
    auth.call("PUT", f"/auth/groups/{group}/members", {"email": bob.email, "role": "owner"}, as_=alice)
    auth.call("DELETE", f"/auth/groups/{group}/members", {"email": alice.email}, as_=alice)

    assert (view(conversation, link, bob).status, conversation.get("/links", as_=alice).json["items"]) == (404, [])


def test_a_link_is_not_made_for_a_group_of_others(auth, conversation, talk, alice, bob):
    theirs = auth.post("/auth/groups", {"name": "Theirs"}, as_=bob).json["id"]
    refused = conversation.post(f"/conversations/{talk}/links", {"audience": "group", "group_id": theirs}, as_=alice)

    assert (refused.status, conversation.get("/links", as_=alice).json["items"]) == (404, [])


@pytest.mark.parametrize("audience", ["public", "signed_in", "group"])
def test_a_group_is_named_for_the_audience_group_only(conversation, talk, group, alice, audience):
    body = {"audience": audience} | ({} if audience == "group" else {"group_id": group})

    assert conversation.post(f"/conversations/{talk}/links", body, as_=alice).status == 422


@pytest.mark.parametrize("reader", [None, "bob"])
def test_a_revoked_link_leads_to_nothing(conversation, share, alice, request, reader):
    link = share(audience="public")
    conversation.call("DELETE", f"/links/{link['id']}", as_=alice)

    assert view(conversation, link, reader and request.getfixturevalue(reader)).status == 404


def test_an_expired_link_leads_to_nothing(conversation, share, alice, postgres):
    link = share(audience="public", expires_in_days=1)
    postgres.execute(f"UPDATE shared_links SET expires_at = now() - interval '1 second' WHERE id = '{link['id']}'", dbname="parley")

    assert view(conversation, link).status == 404
    assert conversation.get("/links", as_=alice).json["items"] == []


def test_a_link_of_a_disabled_account_leads_to_nothing(conversation, share, alice, postgres):
    link = share(audience="public")
    postgres.execute(f"UPDATE users SET disabled_at = now() WHERE id = '{alice.id}'", dbname="parley")

    assert view(conversation, link).status == 404


def test_a_deleted_conversation_takes_its_links_along(conversation, share, alice, talk):
    link = share(audience="public")
    conversation.call("DELETE", f"/conversations/{talk}", as_=alice)

    assert view(conversation, link).status == 404


def test_a_link_shows_the_conversation_as_it_was(chat, conversation, share, alice, talk):
    link = share(audience="public")
    chat.post("/chat", {"message": "And a secret?", "model": "offline", "conversation_id": talk, "stream": False}, as_=alice)

    assert "secret" not in str(view(conversation, link).json)


def test_a_link_can_end_before_the_last_messages(chat, conversation, share, alice, talk):
    chat.post("/chat", {"message": "And a secret?", "model": "offline", "conversation_id": talk, "stream": False}, as_=alice)

    assert len(view(conversation, share(audience="public", upto_seq=2)).json["messages"]) == 2


def test_only_the_owner_sees_and_revokes_a_link(conversation, share, alice, bob):
    link = share(audience="public")

    assert conversation.get("/links", as_=bob).json["items"] == []
    assert conversation.call("DELETE", f"/links/{link['id']}", as_=bob).status == 404
    assert [item["id"] for item in conversation.get("/links", as_=alice).json["items"]] == [link["id"]]


def test_the_token_is_shown_once_and_not_stored(conversation, share, alice, postgres):
    link = share()
    stored = postgres.execute(f"SELECT shared_links::text FROM shared_links WHERE id = '{link['id']}'", dbname="parley")

    assert link["token"] not in str(conversation.get("/links", as_=alice).json) + str(stored)


def test_a_copy_continues_the_conversation_as_the_readers_own(chat, conversation, share, bob):
    copy = conversation.post("/links/copy", {"token": share(audience="signed_in")["token"]}, as_=bob)
    asked = {"message": "What is 2 + 2?", "model": "offline", "conversation_id": copy.json["id"], "stream": False}
    answered = chat.post("/chat", asked, as_=bob)
    items = conversation.get(f"/conversations/{copy.json['id']}/messages", as_=bob).json["items"]

    assert (copy.status, answered.status, [item["seq"] for item in items]) == (201, 200, [1, 2, 3, 4])
    assert items[0]["text"] == "What is 6 * 7?"


@pytest.mark.parametrize("is_counted", [True, False], ids=["of this release", "without token counts"])
def test_a_copy_that_is_longer_than_a_models_context_goes_on_with_its_newest_messages(
    chat, conversation, share, talk, postgres, alice, bob, is_counted
):
    asked = {"message": "Where do puffins nest? " * 100, "model": "offline", "conversation_id": talk, "stream": False}
    assert [chat.post("/chat", asked, as_=alice).status for _ in range(5)] == [200] * 5
    copy = conversation.post("/links/copy", {"token": share()["token"]}, as_=bob).json["id"]
    if not is_counted:
        postgres.execute(f"UPDATE messages SET tokens = 0 WHERE conversation_id = '{copy}'", dbname="parley")
    answered = chat.post("/chat", asked | {"message": "Go on", "conversation_id": copy}, as_=bob)

    assert (answered.status, answered.json["usage"]["input_tokens"] < 2000) == (200, True), answered.json["usage"]


def test_a_copied_conversation_is_untrusted_and_adds_nothing_to_memory(conversation, share, bob, postgres):
    copy = conversation.post("/links/copy", {"token": share()["token"]}, as_=bob).json["id"]
    rows = postgres.execute(
        f"SELECT c.mined_upto_seq = c.last_seq, m.parts FROM conversations c JOIN messages m ON m.conversation_id = c.id"
        f" WHERE c.id = '{copy}' AND m.role = 'assistant'",
        dbname="parley",
    )

    assert [(row[0], {"type": "memory"} in row[1]) for row in rows] == [(True, True)]


def test_an_empty_conversation_cannot_be_shared(conversation, alice):
    id = conversation.post("/conversations", {}, as_=alice).json["id"]
    refused = conversation.post(f"/conversations/{id}/links", {}, as_=alice)

    assert (refused.status, refused.json["code"]) == (422, "nothing_to_share")


def test_a_conversation_over_the_limit_cannot_be_shared(conversation, chat, alice, monkeypatch):
    asked = {"message": "x" * 3000, "model": "offline", "stream": False}
    id = chat.post("/chat", asked, as_=alice).json["conversation_id"]
    monkeypatch.setattr("functions.conversation.links.shared_links.MAX_SNAPSHOT_BYTES", 2000)
    refused = conversation.post(f"/conversations/{id}/links", {}, as_=alice)

    assert (refused.status, refused.json["code"]) == (422, "too_long_to_share")


def test_a_conversation_at_the_limit_is_shared_whole_and_a_longer_one_is_not(chat, conversation, share, alice, talk, monkeypatch):
    monkeypatch.setattr("functions.conversation.links.shared_links.MAX_MESSAGES", 2)
    assert len(view(conversation, share(audience="public")).json["messages"]) == 2
    chat.post("/chat", {"conversation_id": talk, "message": "And 7 * 7?", "model": "offline", "stream": False}, as_=alice)

    refused = conversation.post(f"/conversations/{talk}/links", {}, as_=alice)
    assert (refused.status, refused.json["code"]) == (422, "too_long_to_share")


def test_the_limit_of_a_link_counts_the_bytes_of_a_text_in_any_script(chat, conversation, alice, monkeypatch):
    asked = {"message": "\u6771" * 500, "model": "offline", "stream": False}
    id = chat.post("/chat", asked, as_=alice).json["conversation_id"]
    monkeypatch.setattr("functions.conversation.links.shared_links.MAX_SNAPSHOT_BYTES", 4500)

    assert conversation.post(f"/conversations/{id}/links", {"audience": "public"}, as_=alice).status == 201


def said(role, text, *sources):
    parts = [{"type": "source"} | source for source in sources]
    return SimpleNamespace(role=role, utterances=[Utterance(role, text)], parts=parts, created_at=datetime(2026, 11, 2, tzinfo=UTC))


def test_a_link_shows_what_the_user_said_within_an_answer(engine, conversation, alice):
    id = add_steered_turn(engine, alice, "What is the price?", "In euros, please")
    link = conversation.post(f"/conversations/{id}/links", {"audience": "public"}, as_=alice).json
    shown = view(conversation, link).json["messages"]

    assert [(message["role"], message["text"]) for message in shown] == [
        ("user", "What is the price?"),
        ("assistant", "I look it up."),
        ("user", "In euros, please"),
        ("assistant", "Done."),
    ]


@pytest.mark.parametrize(
    "source",
    [
        {},
        {"number": "1", "title": "A"},
        {"number": [1], "title": "A"},
        {"number": 1, "title": None},
        *({"number": 1, "title": "A"} | each for each in ({"page": "1"}, {"url": 1})),
    ],
)
def test_a_source_of_another_shape_is_not_shown(source):
    (message,) = _snapshot([said("assistant", "So it is [1][2].", source, {"number": 2, "title": "B"})])

    assert message["sources"] == [{"number": 2, "title": "B", "page": None, "url": None}]


def test_a_snapshot_leaves_out_results_of_tools_and_messages_without_text():
    messages = [said("user", "Grüße"), said("tool", "42"), said("user", " "), said("assistant", "Hallo")]

    assert [message["text"] for message in _snapshot(messages)] == ["Grüße", "Hallo"]


def test_a_snapshot_may_have_exactly_as_many_bytes_as_are_allowed(monkeypatch):
    message = said("user", "Grüße")
    size = len(json.dumps(_snapshot([message]), ensure_ascii=False).encode())
    monkeypatch.setattr("functions.conversation.links.shared_links.MAX_SNAPSHOT_BYTES", size)
    assert len(_snapshot([message])) == 1

    monkeypatch.setattr("functions.conversation.links.shared_links.MAX_SNAPSHOT_BYTES", size - 1)
    with pytest.raises(TooLongToShare):
        _snapshot([message])


def test_the_audit_names_the_group_of_a_link(share, group, alice, postgres):
    share(audience="group", group_id=group)
    share(audience="public")
    shared = f"SELECT detail ->> 'group_id' FROM deployment_audit WHERE account_id = '{alice.id}' AND action = 'link_shared' ORDER BY id"

    assert postgres.execute(shared) == [(group,), (None,)]


def test_the_links_of_a_user_come_page_by_page(conversation, share, alice):
    ids = [share()["id"] for _ in range(2)]
    first = conversation.get("/links?limit=1", as_=alice).json
    second = conversation.get(f"/links?limit=1&cursor={first['next_cursor']}", as_=alice).json

    assert [item["id"] for item in first["items"] + second["items"]] == ids[::-1]
    assert second["next_cursor"] is None


def test_the_number_of_links_is_bounded(conversation, share, alice, talk, monkeypatch):
    monkeypatch.setattr("functions.conversation.links.shared_links.MAX_LINKS", 2)
    for _ in range(2):
        share()
    refused = conversation.post(f"/conversations/{talk}/links", {}, as_=alice)

    assert (refused.status, refused.json["code"]) == (409, "too_many_links")


def test_a_key_without_the_scope_cannot_share(conversation, alice, talk):
    key = Person(alice.email, {}, alice.claims | {"scope": "chat"})

    assert conversation.post(f"/conversations/{talk}/links", {}, as_=key).status == 403
