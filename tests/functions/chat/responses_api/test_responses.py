"""Responses whole and streamed, by the official SDK."""

import time
from itertools import groupby

import openai
import pytest
from pydantic import BaseModel

from tests.fakes.vendor import refuses, says, streams
from tests.functions.chat.openai_api.test_reasoning import answers, piece

ASK = {"model": "compatible", "input": "hello"}
MESSAGE_EVENTS = [
    *("response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"),
    *("response.output_text.delta", "response.output_text.done", "response.content_part.done", "response.output_item.done"),
    "response.completed",
]


def streamed(sdk, **fields):
    return list(sdk.responses.create(**ASK | fields, stream=True))


def test_a_response_has_the_text_and_the_usage(sdk):
    response = sdk.responses.create(**ASK)

    assert (response.output_text, response.status, response.id[:5]) == ("Hello", "completed", "resp_")
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (12, 3, 15)
    assert response.usage.input_tokens_details.cached_tokens == 4


def test_a_stream_has_all_events_of_a_message_in_order(sdk):
    events = streamed(sdk)

    assert [kind for kind, _ in groupby(event.type for event in events)] == MESSAGE_EVENTS
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.delta for event in events if event.type == "response.output_text.delta"] == ["Hel", "lo"]


def test_the_events_of_an_item_name_it(sdk):
    *_, last = events = streamed(sdk)
    (item,) = last.response.output

    assert {event.item_id for event in events if hasattr(event, "item_id")} == {item.id}
    assert {event.output_index for event in events if hasattr(event, "output_index")} == {0}
    assert (item.status, item.content[0].text) == ("completed", "Hello")


def test_the_sdks_own_stream_collects_the_response(sdk):
    with sdk.responses.stream(**ASK) as stream:
        texts = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        response = stream.get_final_response()

    assert (texts, response.output_text) == (["Hel", "Hello"], "Hello")


def test_an_answer_is_parsed_by_its_schema(sdk, vendor):
    class Sum(BaseModel):
        total: int

    vendor.script = streams('{"total": 4}')
    response = sdk.responses.parse(**ASK, text_format=Sum)

    assert response.output_parsed == Sum(total=4)
    assert vendor.last_body["response_format"]["json_schema"]["name"] == "Sum"
    assert vendor.last_body["response_format"]["json_schema"]["strict"] is True


def test_any_json_object_can_be_wanted(sdk, vendor):
    sdk.responses.create(**ASK, text={"format": {"type": "json_object"}, "verbosity": "low"})

    assert vendor.last_body["response_format"]["json_schema"]["schema"] == {"type": "object"}


@pytest.mark.parametrize(
    ("reason", "detail"), [("length", "max_output_tokens"), ("content_filter", "content_filter")], ids=["limit", "filter"]
)
def test_an_answer_that_was_cut_is_incomplete(sdk, vendor, reason, detail):
    vendor.script = streams("Hel", finish=reason)
    *_, last = streamed(sdk, max_output_tokens=20)

    assert (last.type, last.response.status, last.response.output[0].status) == ("response.incomplete", "incomplete", "incomplete")
    assert last.response.incomplete_details.reason == detail
    assert vendor.last_body["max_tokens"] == 20


def test_a_refusal_is_a_part_of_a_complete_response(sdk, vendor):
    vendor.script = answers({"refusal": "I cannot "}, {"refusal": "do that."})
    events = streamed(sdk)

    assert "response.refusal.done" in [event.type for event in events]
    assert events[-1].response.output[0].content[0].refusal == "I cannot do that."
    assert events[-1].response.status == "completed"


def test_text_after_a_refusal_is_another_part(sdk, vendor):
    vendor.script = answers({"refusal": "No."}, {"content": "Ask me something else."})
    (message,) = sdk.responses.create(**ASK).output

    assert [part.type for part in message.content] == ["refusal", "output_text"]


def test_a_failure_before_the_answer_is_an_error_of_the_sdk(sdk, vendor):
    vendor.script = refuses(429, headers={"Retry-After": "20"})
    with pytest.raises(openai.RateLimitError) as failed:
        streamed(sdk)

    assert failed.value.code == "rate_limit_exceeded"


def test_a_failure_during_the_answer_ends_the_stream(sdk, vendor):
    vendor.script = says(piece(content="Hel") + b"data: {nonsense\n\n")
    *_, item, last = streamed(sdk)

    assert (last.type, last.response.status, last.response.error.code) == ("response.failed", "failed", "provider_failed")
    assert (item.type, last.response.output_text, last.response.output[0].status) == ("response.output_item.done", "Hel", "incomplete")


def test_the_response_repeats_the_request(sdk):
    fields = {"temperature": 0.5, "metadata": {"a": "b"}, "instructions": "Be brief.", "max_output_tokens": 9}
    response = sdk.responses.create(**ASK | fields, reasoning={"effort": "low"})

    assert (response.temperature, response.metadata, response.instructions) == (0.5, {"a": "b"}, "Be brief.")
    assert (response.max_output_tokens, response.reasoning.effort, response.tool_choice) == (9, "low", "auto")


def test_options_reach_the_vendor(sdk, vendor):
    sdk.responses.create(**ASK, top_p=0.5, reasoning={"effort": "low"}, instructions="Be brief.", temperature=0)

    sent = vendor.last_body
    assert (sent["top_p"], sent["reasoning_effort"], sent["temperature"]) == (0.5, "low", 0)
    assert [message["content"] for message in sent["messages"]] == ["Be brief.", "hello"]


def test_a_repeated_request_gets_the_same_response(sdk, vendor):
    vendor.script = answers({"reasoning_content": "Hm."}, {"content": "Yes"})
    first, second = (sdk.responses.create(**ASK, extra_headers={"Idempotency-Key": "k"}) for _ in range(2))

    assert len(vendor.requests) == 1
    assert first.model_dump(exclude={"completed_at"}) == second.model_dump(exclude={"completed_at"})


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"odd": 1}, "odd"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"input": []}, "input"),
        ({"input": [{"role": "owner", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "computer_call"}]}, "input[0]"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format"),
        ({"tools": [{"type": "file_search"}]}, "tools[0]"),
        ({"tool_choice": "required"}, "tool_choice"),
    ],
)
def test_the_field_of_an_error_is_the_clients(sdk, fields, param):
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.responses.create(**ASK | {"extra_body": fields})

    assert refused.value.param == param


def test_a_model_that_lacks_schemas_names_the_format(sdk):
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.responses.create(model="textual", input="hello", text={"format": {"type": "json_object"}})

    assert (refused.value.code, refused.value.param) == ("model_cannot", "text.format")


@pytest.mark.parametrize(
    "fields",
    [
        *({"store": False}, {"user": "me"}, {"truncation": "auto"}, {"service_tier": "auto"}, {"include": ["reasoning.encrypted_content"]}),
        *({"prompt_cache_key": "k"}, {"top_p": 1}, {"max_tool_calls": 3}, {"parallel_tool_calls": True}, {"safety_identifier": "s"}),
    ],
)
def test_fields_without_effect_are_accepted(sdk, fields):
    assert sdk.responses.create(**ASK | fields).status == "completed"


@pytest.mark.parametrize(
    "fields",
    [
        {"input": [{"role": "user", "content": "x"}] * 105_000},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}] * 80_000}]},
        {"input": [{"no": 1}] * 4000},
        {"metadata": {str(number): 1 for number in range(40_000)}},
    ],
    ids=["items", "parts", "invalid items", "invalid fields"],
)
def test_a_body_of_very_many_values_is_refused_cheaply(chat, alice, fields):
    started_s = time.process_time()
    answer = chat.post("/v1/responses", ASK | fields, as_=alice)

    assert answer.status == 400
    assert time.process_time() - started_s < 2
    assert len(answer.body) < 50_000
