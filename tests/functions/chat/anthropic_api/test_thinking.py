"""Reasoning: asked for, shown in blocks, and sent back to the model that it came from. By the official SDK."""

import pytest

from functions.chat.completions.opaque_content import pack_thought, unpack_thought
from parley.llm.messages import Thought
from tests.fakes.vendor import sends
from tests.fakes.wire_formats import anthropic
from tests.fakes.wire_formats.wire_format import sse
from tests.functions.chat.anthropic_api.test_tools import ADD, HELLO
from tests.functions.chat.openai_api.test_reasoning import answers

ASK = {"model": "claude-sonnet-4", "max_tokens": 4000, "messages": HELLO}
THINKING = {"type": "enabled", "budget_tokens": 2048}
SEALED = {"type": "thinking", "thinking": "hm", "signature": "sealed"}
ITEM = {"type": "reasoning", "summary": [], "encrypted_content": "secret"}


def ask(sdk, **fields):
    return sdk.messages.create(**ASK | fields)


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"thinking": THINKING}, {"thinking": THINKING}),
        ({"thinking": THINKING | {"budget_tokens": 31999}}, {"thinking": THINKING | {"budget_tokens": 3999}}),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, {"thinking": {"type": "adaptive", "display": "omitted"}}),
        ({"thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}),
        ({"output_config": {"effort": "max"}}, {"output_config": {"effort": "max"}}),
    ],
)
def test_the_wish_for_reasoning_reaches_anthropic(sdk, vendor, fields, sent):
    vendor.script = sends(anthropic.texts("ok"))
    ask(sdk, **fields)

    assert {name: vendor.last_body[name] for name in sent} == sent
    assert "temperature" not in vendor.last_body


def test_other_vendors_learn_the_effort_and_nothing_else(sdk, vendor):
    ask(sdk, model="compatible", thinking=THINKING, output_config={"effort": "max"})

    assert vendor.last_body["reasoning_effort"] == "high"
    assert not vendor.last_body.keys() & {"thinking", "output_config"}


@pytest.mark.parametrize("stream", [False, True])
def test_a_thought_is_a_block_whose_signature_returns_it(sdk, vendor, stream):
    vendor.script = sends(anthropic.calls())
    if stream:
        with sdk.messages.stream(**ASK, thinking=THINKING, tools=[ADD]) as events:
            message = events.get_final_message()
    else:
        message = ask(sdk, thinking=THINKING, tools=[ADD])
    results = [{"type": "tool_result", "tool_use_id": block.id, "content": "2"} for block in message.content[1:]]
    vendor.script = sends(anthropic.texts("ok"))
    ask(sdk, thinking=THINKING, messages=[*HELLO, message.to_param(), {"role": "user", "content": results}])

    assert (message.content[0].type, message.content[0].thinking) == ("thinking", "hm")
    assert vendor.last_body["messages"][1]["content"][0] == SEALED


def test_the_thought_of_another_model_is_not_sent(sdk, vendor):
    block = {"type": "thinking", "thinking": "hm", "signature": pack_thought(Thought("openai/o9", '{"type": "reasoning"}'))}
    vendor.script = sends(anthropic.texts("ok"))
    ask(sdk, messages=[*HELLO, {"role": "assistant", "content": [block, {"type": "text", "text": "Yes"}]}, *HELLO])

    assert vendor.last_body["messages"][1]["content"] == [{"type": "text", "text": "Yes"}]


@pytest.mark.parametrize("block", [SEALED, {"type": "redacted_thinking", "data": "EmwKAh"}])
def test_reasoning_of_another_server_is_passed_over(sdk, vendor, block):
    vendor.script = sends(anthropic.texts("ok"))
    ask(sdk, messages=[*HELLO, {"role": "assistant", "content": [block, {"type": "text", "text": "Yes"}]}, *HELLO])

    assert vendor.last_body["messages"][1]["content"] == [{"type": "text", "text": "Yes"}]


def test_reasoning_of_a_compatible_server_is_shown_only_on_request(sdk, vendor):
    vendor.script = answers({"reasoning_content": "Hm, "}, {"reasoning_content": "so."}, {"content": "Yes"})
    shown = ask(sdk, model="compatible", thinking={"type": "adaptive"})
    hidden = ask(sdk, model="compatible")

    assert [(block.type, getattr(block, "thinking", "")) for block in shown.content] == [("thinking", "Hm, so."), ("text", "")]
    assert [block.type for block in hidden.content] == ["text"]
    assert shown.usage.output_tokens_details.thinking_tokens == 2


@pytest.mark.parametrize(("fields", "types"), [({"tools": [ADD]}, ["thinking", "text"]), ({}, ["text"])])
def test_a_thought_that_is_not_shown_is_kept_for_a_client_with_tools(sdk, vendor, fields, types):
    text = {"type": "response.output_text.delta", "delta": "Yes"}
    end = {"type": "response.completed", "response": {"status": "completed", "usage": None}}
    vendor.script = sends([sse({"type": "response.output_item.done", "item": ITEM}), sse(text), sse(end)])
    message = ask(sdk, model="responses", **fields)

    assert [block.type for block in message.content] == types


def test_a_repeated_request_gets_the_thought_again(sdk, vendor):
    vendor.script = sends(anthropic.calls())
    first, second = (ask(sdk, thinking=THINKING, tools=[ADD], extra_headers={"Idempotency-Key": "k"}) for _ in range(2))

    assert (first.content, len(vendor.requests)) == (second.content, 1)


@pytest.mark.parametrize(
    "payload",
    [
        '{"type": "document", "source": {"type": "url", "url": "http://internal"}}',
        "[]",
        "nonsense",
        '{"redacted": "abcde"}',
        '{"redacted": "é"}',
        "1",
    ],
)
def test_a_signature_that_a_client_made_up_is_no_thought(payload):
    assert unpack_thought(pack_thought(Thought("anthropic/vendor-model", payload))) is None


@pytest.mark.parametrize("signature", ["", "parley.", "parley.AAAA", "parley.W10=", "EqQBCkYIARgCKkAx", "parley.\u00e9"])
def test_a_signature_that_cannot_be_read_is_no_thought(signature):
    assert unpack_thought(signature) is None
