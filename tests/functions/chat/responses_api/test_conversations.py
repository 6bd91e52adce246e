"""Conversations of clients, by the official SDK."""

import openai
import pytest

from tests.fakes.vendor import refuses, streams
from tests.functions.chat.openai_api.test_client_tools import calls_with
from tests.functions.chat.responses_api.test_stored_responses import roles_and_texts
from tests.functions.chat.responses_api.test_tools import ADD

ASK = {"model": "compatible", "input": "hello"}
FIRST = {"role": "user", "content": "My name is Ann."}


@pytest.fixture
def conversation(sdk):
    """A conversation with an item and metadata."""
    return sdk.conversations.create(items=[FIRST], metadata={"topic": "names"})


def texts(sdk, conversation, **options):
    """Return the texts of the messages of a conversation, oldest first unless told otherwise."""
    items = sdk.conversations.items.list(conversation.id, **{"order": "asc"} | options)
    return [item.content[0].text for item in items]


def test_a_response_begins_with_the_items_of_its_conversation_and_is_appended(sdk, vendor, conversation):
    first = sdk.responses.create(**ASK, conversation=conversation.id)
    sdk.responses.create(model="compatible", input="and?", conversation={"id": conversation.id}, stream=False)

    assert first.conversation.id == conversation.id
    assert roles_and_texts(vendor)[:2] == [("user", "My name is Ann.\n\nhello"), ("assistant", "Hello")]
    assert texts(sdk, conversation) == ["My name is Ann.", "hello", "Hello", "and?", "Hello"]


def test_the_output_of_a_tool_continues_its_call(sdk, vendor, conversation):
    vendor.script = calls_with('{"a": 1}')
    call = sdk.responses.create(**ASK, tools=[ADD], conversation=conversation.id).output[0]
    vendor.script = streams("2")
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "2"}
    sdk.responses.create(model="compatible", input=[output], tools=[ADD], conversation=conversation.id)

    types = [item.type for item in sdk.conversations.items.list(conversation.id, order="asc")]
    assert types == ["message", "message", "function_call", "function_call_output", "message"]


@pytest.mark.parametrize("options", [{"stream": True}, {"background": True}, {"store": False}])
def test_any_kind_of_response_is_appended_once(sdk, conversation, options):
    for _ in range(2):
        answer = sdk.responses.create(**ASK, conversation=conversation.id, extra_headers={"Idempotency-Key": "k"}, **options)
        list(answer if options.get("stream") else ())

    assert texts(sdk, conversation) == ["My name is Ann.", "hello", "Hello"]


def test_a_failed_response_leaves_its_conversation_as_it_was(sdk, vendor, conversation):
    vendor.script = refuses(400)
    sdk.responses.create(**ASK, conversation=conversation.id, background=True)

    assert texts(sdk, conversation) == ["My name is Ann."]


def test_a_conversation_is_read_changed_and_deleted(sdk, conversation):
    changed = sdk.conversations.update(conversation.id, metadata={"topic": "people"})
    read = sdk.conversations.retrieve(conversation.id)
    deleted = sdk.conversations.delete(conversation.id)

    assert (conversation.metadata, read) == ({"topic": "names"}, changed)
    assert (read.metadata, read.object, deleted.deleted) == ({"topic": "people"}, "conversation", True)
    with pytest.raises(openai.NotFoundError):
        sdk.conversations.retrieve(conversation.id)
    with pytest.raises(openai.NotFoundError):
        sdk.responses.create(**ASK, conversation=conversation.id)


def test_items_are_added_listed_in_pages_read_and_deleted(sdk, conversation):
    added = sdk.conversations.items.create(conversation.id, items=[FIRST | {"content": "one"}, FIRST | {"content": "two"}])
    page = sdk.conversations.items.list(conversation.id, limit=2)
    item = sdk.conversations.items.retrieve(added.data[0].id, conversation_id=conversation.id)
    sdk.conversations.items.delete(item.id, conversation_id=conversation.id)

    assert ([one.content[0].text for one in added.data], [one.id for one in page.data]) == (["one", "two"], [added.last_id, added.first_id])
    assert (item, page.has_more) == (added.data[0], True)
    assert texts(sdk, conversation, order="desc", limit=1) == ["two", "My name is Ann."]
    with pytest.raises(openai.NotFoundError):
        sdk.conversations.items.retrieve(item.id, conversation_id=conversation.id)


def test_another_users_item_looks_like_a_missing_one(sdk, sdk_of, bob, conversation):
    item, other = sdk.conversations.items.list(conversation.id).data[0], sdk_of(bob)
    own = other.conversations.create()
    for call in (other.conversations.items.retrieve, other.conversations.items.delete):
        for conversation_id in (conversation.id, own.id):
            with pytest.raises(openai.NotFoundError):
                call(item.id, conversation_id=conversation_id)

    assert texts(sdk, conversation) == ["My name is Ann."]


def test_another_users_conversation_looks_like_a_missing_one(sdk_of, vendor, bob, conversation):
    other = sdk_of(bob)
    with pytest.raises(openai.NotFoundError, match="There is no such conversation"):
        other.responses.create(**ASK, conversation=conversation.id)
    for call in (other.conversations.retrieve, other.conversations.delete, other.conversations.items.list):
        with pytest.raises(openai.NotFoundError, match="There is no such conversation"):
            call(conversation.id)

    assert vendor.requests == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"conversation": "conv_1", "previous_response_id": "resp_1"}, None),
        ({"conversation": {"id": "conv_1", "odd": 1}}, "conversation"),
        ({"conversation": 1}, "conversation"),
    ],
)
def test_an_odd_conversation_is_refused(sdk, fields, param):
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.responses.create(**ASK, extra_body=fields)

    assert (refused.value.param or "conversation").startswith(param or "conversation")


@pytest.mark.parametrize("items", [[FIRST] * 21, [{"type": "item_reference", "id": "msg_1"}], [{"role": "owner", "content": "x"}]])
def test_odd_items_are_refused(sdk, conversation, items):
    with pytest.raises(openai.BadRequestError, match="items"):
        sdk.conversations.items.create(conversation.id, items=items)


def test_a_conversation_does_not_outgrow_a_request(sdk, conversation, monkeypatch):
    monkeypatch.setattr("parley.db.responses_api.client_conversations.MAX_ITEMS", 2)
    sdk.conversations.items.create(conversation.id, items=[FIRST])
    with pytest.raises(openai.BadRequestError, match="at most"):
        sdk.conversations.items.create(conversation.id, items=[FIRST])

    assert len(texts(sdk, conversation)) == 2


def test_a_users_conversations_beyond_a_number_are_deleted_if_unused(sdk, sdk_of, bob, monkeypatch):
    monkeypatch.setattr("parley.db.responses_api.client_conversations.MAX_CONVERSATIONS", 2)
    others = sdk_of(bob).conversations.create().id
    used, unused = sdk.conversations.create().id, sdk.conversations.create().id
    sdk.conversations.items.create(used, items=[FIRST])
    newest = sdk.conversations.create().id

    assert [sdk.conversations.retrieve(id).id for id in (used, newest)] == [used, newest]
    assert sdk_of(bob).conversations.retrieve(others).id == others
    with pytest.raises(openai.NotFoundError):
        sdk.conversations.retrieve(unused)
