"""Responses that are stored, continued, read and deleted. By the official SDK."""

import openai
import pytest

from functions.chat.responses_api import stored_responses
from parley.errors import Unavailable
from tests.fakes.vendor import streams
from tests.functions.chat.openai_api.test_client_tools import calls_with
from tests.functions.chat.openai_api.test_reasoning import answers
from tests.functions.chat.responses_api.test_tools import ADD

ASK = {"model": "compatible", "input": "hello"}


def roles_and_texts(vendor):
    return [(message["role"], message["content"]) for message in vendor.last_body["messages"]]


def test_a_response_is_continued_with_its_whole_history(sdk, vendor):
    first = sdk.responses.create(**ASK, instructions="Be brief.")
    second = sdk.responses.create(model="compatible", input="and?", previous_response_id=first.id)
    sdk.responses.create(model="compatible", input="so?", previous_response_id=second.id)

    assert second.previous_response_id == first.id
    assert roles_and_texts(vendor) == [
        *(("user", "hello"), ("assistant", "Hello"), ("user", "and?"), ("assistant", "Hello"), ("user", "so?")),
    ]


def test_two_responses_may_continue_the_same(sdk, vendor):
    first = sdk.responses.create(**ASK)
    for question in ("one", "two"):
        sdk.responses.create(model="compatible", input=question, previous_response_id=first.id)

    assert roles_and_texts(vendor) == [("user", "hello"), ("assistant", "Hello"), ("user", "two")]


def test_the_output_of_a_tool_continues_its_call(sdk, vendor):
    vendor.script = calls_with('{"a": 1}')
    first = sdk.responses.create(**ASK, tools=[ADD])
    vendor.script = streams("2")
    output = {"type": "function_call_output", "call_id": first.output[0].call_id, "output": "2"}
    answer = sdk.responses.create(model="compatible", input=[output], previous_response_id=first.id, tools=[ADD])

    assert answer.output_text == "2"
    assert [message["role"] for message in vendor.last_body["messages"]] == ["user", "assistant", "tool"]


def test_a_call_without_its_output_cannot_be_continued(sdk, vendor):
    vendor.script = calls_with('{"a": 1}')
    first = sdk.responses.create(**ASK, tools=[ADD])
    with pytest.raises(openai.BadRequestError, match="these calls have no output: call_0"):
        sdk.responses.create(model="compatible", input="and?", previous_response_id=first.id)


def test_an_item_of_a_stored_response_is_found_by_its_id(sdk, vendor):
    vendor.script = answers({"reasoning_content": "Hm."}, {"content": "Yes"})
    first = sdk.responses.create(**ASK)
    references = [{"type": "item_reference", "id": item.id} for item in first.output]
    sdk.responses.create(model="compatible", input=[{"role": "user", "content": "hello"}, *references, {"role": "user", "content": "so?"}])

    assert vendor.last_body["messages"][1] == {"role": "assistant", "content": "Yes", "reasoning_content": "Hm."}


def test_a_response_whose_input_refers_to_items_is_continued(sdk, vendor):
    first = sdk.responses.create(**ASK)
    items = [{"type": "item_reference", "id": first.output[0].id}, {"role": "user", "content": "so?"}]
    second = sdk.responses.create(model="compatible", input=[{"role": "user", "content": "hello"}, *items])
    sdk.responses.create(model="compatible", input="and?", previous_response_id=second.id)

    assert roles_and_texts(vendor)[:3] == [("user", "hello"), ("assistant", "Hello"), ("user", "so?")]


@pytest.mark.parametrize("id", ["msg_1", "msg_", "odd", "msg_01996f6a000070008000000000000009_0"])
def test_a_reference_to_an_unknown_item_is_refused(sdk, id):
    with pytest.raises(openai.BadRequestError, match="there is no such item") as refused:
        sdk.responses.create(model="compatible", input=[{"type": "item_reference", "id": id}])

    assert refused.value.param == "input[0].id"


@pytest.mark.parametrize("stream", [False, True])
def test_a_stored_response_is_read_as_it_was_sent(sdk, stream):
    sent = list(sdk.responses.create(**ASK, stream=True))[-1].response if stream else sdk.responses.create(**ASK)

    assert sdk.responses.retrieve(sent.id).model_dump() == sent.model_dump()


def test_a_response_that_is_not_stored_cannot_be_read_or_continued(sdk):
    sent = sdk.responses.create(**ASK, store=False)

    assert sent.store is False
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(sent.id)
    with pytest.raises(openai.NotFoundError):
        sdk.responses.create(**ASK, previous_response_id=sent.id)


def test_a_deleted_response_is_gone_and_ends_what_continues_it(sdk):
    first = sdk.responses.create(**ASK)
    second = sdk.responses.create(**ASK, previous_response_id=first.id)
    sdk.responses.delete(first.id)

    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(first.id)
    with pytest.raises(openai.NotFoundError):
        sdk.responses.create(**ASK, previous_response_id=second.id)
    assert sdk.responses.retrieve(second.id).output_text == "Hello"


def test_another_users_response_looks_like_a_missing_one(sdk, sdk_of, bob):
    id, other = sdk.responses.create(**ASK).id, sdk_of(bob)
    for call in (other.responses.retrieve, other.responses.delete, other.responses.input_items.list):
        with pytest.raises(openai.NotFoundError, match="There is no such response"):
            call(id)


def test_the_items_of_a_request_are_listed_in_pages(sdk):
    items = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}, {"role": "user", "content": "three"}]
    id = sdk.responses.create(model="compatible", input=items).id
    page = sdk.responses.input_items.list(id, limit=2)
    texts = [item.content[0].text for item in sdk.responses.input_items.list(id, limit=2, order="asc")]

    assert ([item.content[0].text for item in page.data], page.has_more) == (["three", "two"], True)
    assert texts == ["one", "two", "three"]


def test_a_page_after_an_unknown_item_is_refused(sdk):
    id = sdk.responses.create(**ASK).id
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.responses.input_items.list(id, after="odd")

    assert refused.value.param == "after"


@pytest.mark.parametrize(
    "script", [answers({"reasoning_content": "Hm."}, {"content": "Yes"}), calls_with('{"a": 1}'), streams("Hel", finish="length")]
)
def test_a_stored_response_is_streamed_again_with_each_item_whole(sdk, vendor, script):
    vendor.script = script
    sent = sdk.responses.create(**ASK, tools=[ADD])
    *events, last = sdk.responses.retrieve(sent.id, stream=True)
    items = [event.item for event in events if event.type == "response.output_item.done"]

    assert ([event.sequence_number for event in events], items) == (list(range(len(events))), sent.output)
    assert (last.type, last.response) == (f"response.{sent.status}", sent)


def test_a_stored_stream_begins_after_an_event(sdk):
    id = sdk.responses.create(**ASK).id
    whole = list(sdk.responses.retrieve(id, stream=True))

    assert list(sdk.responses.retrieve(id, stream=True, starting_after=3)) == whole[4:]
    assert list(sdk.responses.retrieve(id, stream=True, starting_after=99)) == whole[-1:]


def test_a_users_oldest_responses_beyond_a_number_are_deleted(sdk, sdk_of, bob, monkeypatch):
    monkeypatch.setattr("parley.db.responses_api.responses.MAX_STORED", 2)
    others = sdk_of(bob).responses.create(**ASK).id
    first, *rest = (sdk.responses.create(**ASK).id for _ in range(3))

    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(first)
    assert [sdk.responses.retrieve(id).id for id in rest] == rest
    assert sdk_of(bob).responses.retrieve(others).id == others


def test_a_response_that_cannot_be_stored_is_sent_all_the_same(sdk, monkeypatch, caplog):
    def fail(*_arguments, **_options):
        raise Unavailable("the database is away")

    monkeypatch.setattr(stored_responses.responses, "store", fail)
    monkeypatch.setattr("parley.deadline.RETRY_PAUSES_S", ())

    assert sdk.responses.create(**ASK).output_text == "Hello"
    assert "response_not_stored" in caplog.text
