"""A client's options at each vendor: honoured, passed over, or refused by name. By the official SDK against a fake vendor."""

import openai
import pytest

from tests.fakes.vendor import sends, streams
from tests.fakes.wire_formats import anthropic, responses
from tests.fakes.wire_formats.chat import calls as chat_calls
from tests.functions.chat.openai_api.test_client_tools import ADD

ASK = {"messages": [{"role": "user", "content": "hello"}]}
DRAWN = {"top_p": 0.5, "frequency_penalty": 0.1, "presence_penalty": 0.2, "seed": 7}
OPENAI = DRAWN | {"logit_bias": {"50256": -100}, "reasoning_effort": "low"}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def send(sdk, vendor, model, **fields):
    """Send a request that the vendor answers in its format, and return the body that the vendor received."""
    wires = {"anthropic": anthropic.ANTHROPIC, "responses": responses.RESPONSES}
    vendor.script = streams("ok")
    if model in wires:
        wires[model].plays(vendor, wires[model].texts("ok"))
    sdk.chat.completions.create(**ASK | {"model": model} | fields)
    return vendor.last_body


@pytest.mark.parametrize(
    ("model", "fields", "sent"),
    [
        ("openai", OPENAI | {"verbosity": "low"}, OPENAI | {"verbosity": "low"}),
        ("compatible", OPENAI | {"extra_body": {"top_k": 40, "min_p": 0.1}}, OPENAI | {"top_k": 40, "min_p": 0.1}),
        ("mistral", DRAWN, {"top_p": 0.5, "frequency_penalty": 0.1, "presence_penalty": 0.2, "random_seed": 7}),
        ("anthropic", {"top_p": 0.5, "extra_body": {"top_k": 40}, "seed": 7}, {"top_p": 0.5, "top_k": 40}),
        ("responses", {"top_p": 0.5, "reasoning_effort": "low"}, {"top_p": 0.5, "reasoning": {"effort": "low"}}),
        ("responses", {"verbosity": "low", "seed": 7}, {"text": {"verbosity": "low"}}),
    ],
)
def test_options_that_the_vendor_has_reach_it(sdk, vendor, model, fields, sent):
    body = send(sdk, vendor, model, **fields)

    assert {name: body[name] for name in sent} == sent
    assert not {"seed", "top_k", "min_p", "verbosity", "reasoning_effort"} & (set(body) - set(sent))


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        ("openai", {"extra_body": {"top_k": 40}}, "top_k"),
        ("mistral", {"logit_bias": {"1": 5}}, "logit_bias"),
        ("anthropic", {"frequency_penalty": 1}, "frequency_penalty"),
        ("responses", {"presence_penalty": 1}, "presence_penalty"),
    ],
)
def test_an_option_that_changes_the_answer_and_that_the_vendor_lacks_is_refused_by_name(sdk, vendor, model, fields, param):
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.chat.completions.create(**ASK | {"model": model} | fields)

    assert (refused.value.param, vendor.requests) == (param, [])


def test_a_strategy_uses_the_model_that_has_the_option(sdk, vendor):
    assert send(sdk, vendor, "quick", extra_body={"top_k": 40})["top_k"] == 40


@pytest.mark.parametrize("neutral", [{"top_p": 1}, {"frequency_penalty": 0}, {"logit_bias": {}}, {"extra_body": {"top_k": -1}}])
def test_options_at_their_defaults_are_not_sent(sdk, vendor, neutral):
    body = send(sdk, vendor, "anthropic", **neutral)

    assert not body.keys() & {"top_p", "frequency_penalty", "logit_bias", "top_k"}


@pytest.mark.parametrize(("model", "field"), [("openai", "parallel_tool_calls"), ("mistral", "parallel_tool_calls")])
def test_a_wish_for_a_single_call_reaches_the_vendor(sdk, vendor, model, field):
    assert send(sdk, vendor, model, tools=[ADD], parallel_tool_calls=False)[field] is False


def test_a_wish_for_a_single_call_reaches_anthropic_in_its_own_form(sdk, vendor):
    body = send(sdk, vendor, "anthropic", tools=[ADD], parallel_tool_calls=False)

    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


@pytest.mark.parametrize("stream", [False, True])
def test_a_vendor_that_calls_several_tools_all_the_same_is_cut_to_the_first_call(sdk, vendor, stream):
    vendor.script = sends(chat_calls())
    fields = ASK | {"model": "compatible", "tools": [ADD], "parallel_tool_calls": False}
    if stream:
        with sdk.chat.completions.stream(**fields) as events:
            answer = events.get_final_completion()
    else:
        answer = sdk.chat.completions.create(**fields)

    assert [call.id for call in answer.choices[0].message.tool_calls] == ["call_aaa1"]


def test_strict_tools_details_of_images_names_and_later_system_messages_are_kept(sdk, vendor):
    image = {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "what?"}, image], "name": "ada"},
        {"role": "assistant", "content": "hm"},
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "well?", "name": "bob"},
    ]
    body = send(sdk, vendor, "openai", messages=messages, tools=[ADD | {"function": ADD["function"] | {"strict": True}}])

    assert body["messages"] == messages
    assert body["tools"][0]["function"]["strict"] is True


def test_a_later_system_message_joins_the_system_prompt_where_the_vendor_has_no_other_place(sdk, vendor):
    messages = [{"role": "system", "content": "a"}, *ASK["messages"], {"role": "system", "content": "b"}, *ASK["messages"]]
    body = send(sdk, vendor, "anthropic", messages=messages)

    assert (body["system"][0]["text"], [message["role"] for message in body["messages"]]) == ("a\n\nb", ["user", "user"])


def test_an_option_that_turns_lack_is_refused_in_a_stored_conversation(sdk, vendor):
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.chat.completions.create(**ASK, model="compatible", top_p=0.5, extra_headers={"X-Conversation-Id": "new"})

    assert refused.value.param == "top_p"
