"""Reasoning and refusals of a model: kept in an answer, in its usage and in the history. By the official SDK."""

import json

import pytest

from tests.fakes.vendor import USAGE, chunk, says, sends, streams
from tests.fakes.wire_formats import anthropic
from tests.fakes.wire_formats.wire_format import sse

ASK = {"model": "compatible", "messages": [{"role": "user", "content": "hello"}]}
END = {"completion_tokens_details": {"reasoning_tokens": 2}}


def piece(**delta):
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}).encode() + b"\n\n"


def answers(*deltas):
    """Return a script that streams these deltas."""
    return says(b"".join(piece(**delta) for delta in deltas) + chunk(finish="stop") + chunk(usage=USAGE | END) + b"data: [DONE]\n\n")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_kept_beside_the_answer(sdk, vendor, field):
    vendor.script = answers({field: "Hm, "}, {field: "so."}, {"content": "Yes"})
    answer = sdk.chat.completions.create(**ASK)
    message = answer.choices[0].message

    assert (message.reasoning_content, message.content) == ("Hm, so.", "Yes")
    assert answer.usage.completion_tokens_details.reasoning_tokens == 2


def test_reasoning_is_streamed_in_pieces(sdk, vendor):
    vendor.script = answers({"reasoning_content": "Hm, "}, {"reasoning_content": "so."}, {"content": "Yes"})
    deltas = [chunk.choices[0].delta for chunk in sdk.chat.completions.create(**ASK, stream=True)]

    assert [delta.reasoning_content for delta in deltas if getattr(delta, "reasoning_content", None)] == ["Hm, ", "so."]
    assert [delta.content for delta in deltas if delta.content] == ["Yes"]


def test_the_reasoning_of_mistral_and_anthropic_looks_alike(sdk, vendor):
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    vendor.script = answers({"content": [thinking]}, {"content": [{"type": "text", "text": "Yes"}]})
    mistral = sdk.chat.completions.create(**ASK | {"model": "mistral"}).choices[0].message
    vendor.script = sends(anthropic.calls())
    thought = sdk.chat.completions.create(**ASK | {"model": "anthropic"}).choices[0].message.reasoning_content

    assert (mistral.reasoning_content, mistral.content) == ("Hm.", "Yes")
    assert thought


def test_the_reasoning_of_openais_responses_is_its_summary(sdk, vendor):
    text = {"type": "response.output_text.delta", "delta": "Yes"}
    end = {"type": "response.completed", "response": {"status": "completed", "usage": None}}
    vendor.script = sends([sse({"type": "response.reasoning_summary_text.delta", "delta": "Hm."}), sse(text), sse(end)])
    message = sdk.chat.completions.create(**ASK | {"model": "responses"}).choices[0].message

    assert (message.reasoning_content, message.content) == ("Hm.", "Yes")


@pytest.mark.parametrize(("model", "sent"), [("compatible", "Hm."), ("openai", None), ("mistral", None)])
def test_reasoning_in_the_history_returns_to_servers_that_take_it(sdk, vendor, model, sent):
    vendor.script = streams("ok")
    earlier = {"role": "assistant", "content": "Yes", "reasoning_content": "Hm."}
    sdk.chat.completions.create(model=model, messages=[*ASK["messages"], earlier, *ASK["messages"]])

    assert vendor.last_body["messages"][1].get("reasoning_content") == sent


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_a_refusal(sdk, vendor, stream):
    vendor.script = answers({"refusal": "I cannot "}, {"refusal": "do that."})
    if stream:
        with sdk.chat.completions.stream(**ASK) as events:
            message = events.get_final_completion().choices[0].message
    else:
        message = sdk.chat.completions.create(**ASK).choices[0].message

    assert (message.refusal, message.content or None) == ("I cannot do that.", None)


def test_a_repeated_request_gets_reasoning_and_refusal_again(sdk, vendor):
    vendor.script = answers({"reasoning_content": "Hm."}, {"refusal": "No."})
    first, second = (sdk.chat.completions.create(**ASK, extra_headers={"Idempotency-Key": "k"}) for _ in range(2))

    assert (first.model_dump(), len(vendor.requests)) == (second.model_dump(), 1)
    assert (second.choices[0].message.reasoning_content, second.choices[0].message.refusal) == ("Hm.", "No.")
