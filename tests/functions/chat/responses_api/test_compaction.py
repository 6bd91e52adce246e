"""Long conversations: their tokens counted, and made shorter by a summary. By the official SDK."""

import json

import openai
import pytest

from tests.fakes.vendor import sends, streams
from tests.fakes.wire_formats.chat import chunk, texts
from tests.functions.chat.responses_api.test_input import CODEX_INPUT

TALK = [{"role": "user", "content": "We launch on Tuesday."}, {"role": "assistant", "content": "Noted."}]


def test_the_users_messages_stay_and_a_summary_replaces_the_rest(sdk, vendor):
    vendor.script = streams("The launch is on Tuesday.")
    shorter = sdk.responses.compact(model="compatible", input=TALK)

    assert [item.type for item in shorter.output] == ["message", "compaction"]
    assert (shorter.output[0].role, shorter.output[0].content[0].text) == ("user", "We launch on Tuesday.")
    assert (shorter.object, shorter.usage.total_tokens) == ("response.compaction", 15)


def test_the_model_summarizes_the_whole_conversation(sdk, vendor):
    sdk.responses.compact(model="compatible", input=CODEX_INPUT, instructions="You are Codex.")
    asked = vendor.last_body["messages"][-1]["content"]

    assert [text in asked for text in ("List the files.", "a.py", "*** Begin Patch", "mcp__parley.calculator")] == [True] * 4
    assert "tools" not in vendor.last_body


def test_the_shorter_conversation_is_continued(sdk, vendor):
    vendor.script = streams("The launch is on Tuesday.")
    shorter = sdk.responses.compact(model="compatible", input=TALK)
    vendor.script = streams("Tuesday")
    items = [item.to_dict(warnings=False) for item in shorter.output]  # the SDK has no type for a user's message among them
    sdk.responses.create(model="compatible", input=[*items, {"role": "user", "content": "When?"}])
    (said,) = (message["content"] for message in vendor.last_body["messages"])

    assert said.endswith("\n\nThe summary of the conversation so far:\n\nThe launch is on Tuesday.\n\nWhen?")


def test_a_stored_conversation_is_made_shorter_by_its_id(sdk, vendor):
    first = sdk.responses.create(model="compatible", input="We launch on Tuesday.")
    shorter = sdk.responses.compact(model="compatible", input="Is that clear?", previous_response_id=first.id)

    assert [item.content[0].text for item in shorter.output[:-1]] == ["We launch on Tuesday.", "Is that clear?"]


def test_a_stored_conversation_is_made_shorter_without_further_input(sdk, vendor):
    first = sdk.responses.create(model="compatible", input="We launch on Tuesday.")
    shorter = sdk.responses.compact(model="compatible", previous_response_id=first.id)

    assert [item.type for item in shorter.output] == ["message", "compaction"]


@pytest.mark.parametrize(
    "answer",
    [
        texts(),
        texts(" ", finish="length"),
        texts("We", finish="content_filter"),
        [chunk({"refusal": "I cannot help with that."}), chunk({}, finish="stop"), b"data: [DONE]\n\n"],
    ],
)
def test_an_empty_or_refused_summary_does_not_replace_the_conversation(sdk, vendor, answer):
    vendor.script = sends(answer)
    with pytest.raises(openai.InternalServerError):
        sdk.responses.compact(model="compatible", input=TALK)


def test_there_must_be_a_conversation_to_make_shorter(sdk):
    with pytest.raises(openai.BadRequestError, match="input, previous_response_id or conversation is required"):
        sdk.responses.compact(model="compatible")


@pytest.mark.parametrize("content", ["", "gAAAAABo", "parley.%", "parley.WzFd", "parley.e30="])
def test_a_summary_of_another_server_is_refused(sdk, content):
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.responses.create(model="compatible", input=[{"type": "compaction", "id": "c", "encrypted_content": content}])

    assert refused.value.param == "input[0].encrypted_content"


def test_tokens_are_counted_without_calling_a_model(sdk, vendor):
    few = sdk.responses.input_tokens.count(model="compatible", input="hello").input_tokens
    tool = {"type": "function", "name": "add", "description": "word " * 50}
    many = sdk.responses.input_tokens.count(model="compatible", input="hello " * 50, tools=[tool]).input_tokens

    assert (0 < few < 20, many > few + 50, vendor.requests) == (True, True, [])


def test_the_tokens_of_a_stored_conversation_count(sdk):
    first = sdk.responses.create(model="compatible", input="hello " * 50)
    count = sdk.responses.input_tokens.count(model="compatible", input="and?", previous_response_id=first.id)

    assert count.input_tokens > 50


def test_an_unknown_model_counts_nothing(sdk):
    with pytest.raises(openai.NotFoundError) as refused:
        sdk.responses.input_tokens.count(model="gpt-99", input="hello")

    assert refused.value.code == "model_not_found"


def test_the_summary_is_readable_in_no_other_field(sdk, vendor):
    vendor.script = streams("The launch is on Tuesday.")
    shorter = sdk.responses.compact(model="compatible", input=TALK)

    assert "The launch is" not in json.dumps(shorter.to_dict(warnings=False))
