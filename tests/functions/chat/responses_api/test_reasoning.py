"""Reasoning items: shown to the client, sent back by it, and returned to the model that wrote them. By the official SDK."""

import base64
import json

import pytest

from functions.chat.completions.opaque_content import pack_thought, unpack_thought
from parley.llm.messages import Thought
from tests.fakes.vendor import sends, streams
from tests.fakes.wire_formats import anthropic, responses
from tests.fakes.wire_formats.wire_format import CALLS, sse
from tests.functions.chat.openai_api.test_reasoning import answers

QUESTION = {"role": "user", "content": "hello"}
OUTPUTS = [{"type": "function_call_output", "call_id": id, "output": "2"} for id, _, _ in CALLS]
THOUGHT = Thought("openai/o3", json.dumps({"type": "reasoning", "summary": [], "encrypted_content": "sealed"}))


def test_reasoning_is_an_item_before_the_message(sdk, vendor):
    vendor.script = answers({"reasoning_content": "Hm, "}, {"reasoning_content": "so."}, {"content": "Yes"})
    response = sdk.responses.create(model="compatible", input="hello")
    reasoning, message = response.output

    assert (reasoning.type, reasoning.summary[0].text, message.content[0].text) == ("reasoning", "Hm, so.", "Yes")
    assert response.usage.output_tokens_details.reasoning_tokens == 2


def test_reasoning_is_streamed_as_a_summary(sdk, vendor):
    vendor.script = answers({"reasoning_content": "Hm, "}, {"reasoning_content": "so."}, {"content": "Yes"})
    events = list(sdk.responses.create(model="compatible", input="hello", stream=True))

    assert [event.type.removeprefix("response.") for event in events[2:9]] == [
        *("output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta", "reasoning_summary_text.delta"),
        *("reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done"),
    ]
    assert events[6].text == "Hm, so."


def test_openai_is_asked_for_the_summary_that_is_wanted(sdk, vendor):
    vendor.script = sends(responses.texts("Yes"))
    sdk.responses.create(model="responses", input="hello", reasoning={"effort": "low", "summary": "auto"})

    assert vendor.last_body["reasoning"] == {"effort": "low", "summary": "auto"}


def test_the_parts_of_openais_summary_are_paragraphs(sdk, vendor):
    parts = [({"type": "response.reasoning_summary_part.added", "summary_index": n}, text) for n, text in enumerate(("One.", "Two."))]
    summary = [sse(event) for part, text in parts for event in (part, {"type": "response.reasoning_summary_text.delta", "delta": text})]
    vendor.script = sends([*summary, *responses.texts("Yes")])

    assert sdk.responses.create(model="responses", input="hello").output[0].summary[0].text == "One.\n\nTwo."


def test_reasoning_sent_back_reaches_servers_that_take_it(sdk, vendor):
    vendor.script = answers({"reasoning_content": "Hm."}, {"content": "Yes"})
    first = sdk.responses.create(model="compatible", input="hello")
    sdk.responses.create(model="compatible", input=[QUESTION, *first.output, QUESTION])

    assert vendor.last_body["messages"][1] == {"role": "assistant", "content": "Yes", "reasoning_content": "Hm."}


@pytest.mark.parametrize(("model", "wire"), [("responses", responses), ("anthropic", anthropic)])
def test_a_models_thought_returns_to_it_with_its_calls(sdk, vendor, model, wire):
    vendor.script = sends(wire.calls())
    tools = [{"type": "function", "name": name} for _, name, _ in CALLS]
    first = sdk.responses.create(model=model, input="hello", tools=tools, include=["reasoning.encrypted_content"])
    vendor.script = sends(wire.texts("Yes"))
    answer = sdk.responses.create(model=model, input=[QUESTION, *first.output, *OUTPUTS], tools=tools, store=False)

    assert [item.type for item in first.output] == ["reasoning", "function_call", "function_call"]
    assert (answer.output_text, "sealed" in json.dumps(vendor.last_body)) == ("Yes", True)


def test_a_thought_of_another_model_is_left_out(sdk, vendor):
    vendor.script = streams("Yes")
    item = {"type": "reasoning", "summary": [], "encrypted_content": pack_thought(THOUGHT)}
    sdk.responses.create(model="compatible", input=[QUESTION, item, {"role": "assistant", "content": "Yes"}, QUESTION])

    assert "sealed" not in json.dumps(vendor.last_body)


def packed(value):
    return "parley." + base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "content",
    [
        *("", "gAAAAABo", "parley.", "parley.%%", "parley.YQ==", packed(1), packed("ab"), packed([1, "{}"])),
        *(packed(["a", "b", "c"]), packed(["a", "[]"]), packed(["a", 1])),
        *(packed(["a", '{"type": "input_file", "file_id": "f"}']), packed(["a", '{"redacted": "x"}']), packed(["a", '{"text": 1}'])),
    ],
)
def test_content_of_another_server_or_changed_content_is_no_thought(content):
    assert unpack_thought(content) is None


@pytest.mark.parametrize("payload", [THOUGHT.payload, '{"type": "thinking"}', '{"text": "hm", "signature": "s"}', '{"redacted": "eA=="}'])
def test_a_packed_thought_is_unpacked(payload):
    assert unpack_thought(pack_thought(Thought("vendor/model", payload))) == Thought("vendor/model", payload)


def test_reasoning_without_an_answer_is_left_out(sdk, vendor):
    vendor.script = streams("Yes")
    sdk.responses.create(model="compatible", input=[QUESTION, {"type": "reasoning", "summary": []}, QUESTION])

    assert [message["role"] for message in vendor.last_body["messages"]] == ["user"]
