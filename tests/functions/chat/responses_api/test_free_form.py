"""Free-form tools of the Responses API: their text, decoded while the model writes it as JSON. By the official SDK."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.chat.responses_api.free_form import FreeFormText, free_form_arguments, free_form_input
from parley.llm.provider import storable
from tests.fakes.vendor import USAGE, chunk, streams
from tests.functions.chat.openai_api.test_client_tools import ENDED, in_pieces, piece
from tests.functions.chat.responses_api.test_tools import ASK, calls

LARK = {"type": "grammar", "syntax": "lark", "definition": "x"}
PATCH = {"type": "custom", "name": "patch", "description": "Edits files.", "format": LARK}
ADD = {"type": "custom", "name": "add"}
CUT = piece({}, "length") + chunk(usage=USAGE) + b"data: [DONE]\n\n"


def test_a_free_form_tool_is_called_with_text(sdk, vendor):
    vendor.script = calls("patch", json.dumps({"input": "*** Begin"}))
    events = list(sdk.responses.create(**ASK, tools=[PATCH], stream=True))
    (call,) = events[-1].response.output
    function = vendor.last_body["tools"][0]["function"]

    assert (call.type, call.name, call.input) == ("custom_tool_call", "patch", "*** Begin")
    assert [event.input for event in events if event.type == "response.custom_tool_call_input.done"] == ["*** Begin"]
    assert (list(function["parameters"]["properties"]), "lark grammar" in function["description"]) == (["input"], True)


@pytest.mark.parametrize("arguments", ["*** Begin", '{"patch": 1}', '"*** Begin"'])
def test_a_free_form_call_without_input_is_text_itself(sdk, vendor, arguments):
    vendor.script = calls("patch", arguments)

    assert sdk.responses.create(**ASK, tools=[PATCH]).output[0].input == arguments


def test_a_free_form_call_and_its_output_are_accepted_in_the_history(sdk, vendor):
    call = {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "*** Begin"}
    output = {"type": "custom_tool_call_output", "call_id": "c", "output": "done"}
    sdk.responses.create(**ASK | {"input": [call, output]}, tools=[PATCH])
    _, called, answered = vendor.last_body["messages"]

    assert called["tool_calls"][0]["function"] == {"name": "patch", "arguments": '{"input": "*** Begin"}'}
    assert answered["content"] == "done"


@pytest.fixture
def stream(sdk, vendor):
    """Return a function that streams a call which the vendor writes in pieces: its deltas, its text at the end, and the response."""

    def stream(*pieces, end=ENDED):
        vendor.script = in_pieces(*((0, text) for text in pieces), end=end)
        events = list(sdk.responses.create(**ASK, tools=[ADD], stream=True))
        deltas = [event.delta for event in events if event.type == "response.custom_tool_call_input.delta"]
        (done,) = (event.input for event in events if event.type == "response.custom_tool_call_input.done")
        return deltas, done, events[-1].response

    return stream


def test_the_text_is_streamed_while_the_model_writes_it(stream):
    deltas, done, response = stream('{"inp', 'ut": "*** Be', "gin\\", "n\\u00", 'e9"', "}")

    assert (deltas, done) == (["*** Be", "gin", "\n", "é"], "*** Begin\né")
    assert (response.output[0].input, response.output[0].status) == (done, "completed")


def test_a_text_without_json_arrives_at_the_end(stream):
    assert stream("*** Be", "gin")[:2] == (["*** Begin"], "*** Begin")


def test_a_quotation_mark_that_is_not_escaped_is_part_of_the_text(stream):
    assert stream('{"input": "say ', '"hi" there', '"}')[:2] == (["say ", '"hi" there'], 'say "hi" there')


def test_a_text_cut_by_the_limit_is_incomplete_and_does_not_hinder_what_continues_it(sdk, stream, vendor):
    deltas, _, response = stream('{"input": "*** Be', "gin", end=CUT)
    vendor.script = streams("sorry")
    answer = sdk.responses.create(model="compatible", input="go on", previous_response_id=response.id)

    assert (deltas, response.output[0].status, response.output[0].input) == (["*** Be", "gin"], "incomplete", "*** Begin")
    assert (answer.output_text, vendor.last_body["messages"]) == ("sorry", [{"role": "user", "content": "hello\n\ngo on"}])


def test_a_text_that_was_cut_is_shown_again(sdk, stream):
    _, _, response = stream('{"input": "a \\"', end=CUT)
    events = list(sdk.responses.retrieve(response.id, stream=True))

    assert [event.delta for event in events if event.type == "response.custom_tool_call_input.delta"] == ['a "']
    assert events[-1].response.output[0].status == "incomplete"


def shown_of(arguments, cuts):
    """Return the text that a client sees before the call has ended, if the arguments arrive in pieces."""
    bounds = [0, *sorted(cut for cut in cuts if cut < len(arguments)), len(arguments)]
    decoder = FreeFormText()
    return "".join(decoder.feed(arguments[start:end]) for start, end in pairwise(bounds))


@given(st.text(), st.booleans(), st.lists(st.integers(0, 60)))
def test_any_text_arrives_whole_however_it_is_cut(text, escapes_all, cuts):
    arguments = json.dumps({"input": text}) if escapes_all else free_form_arguments(text)

    assert free_form_input(arguments) == storable(text)
    assert storable(text).startswith(shown_of(arguments, cuts))


@given(st.text(alphabet='\\"u0dD8cafe}{:n ', max_size=40), st.lists(st.integers(0, 60)))
def test_any_nonsense_begins_with_the_text_that_was_shown(nonsense, cuts):
    arguments = '{"input": "' + nonsense

    assert free_form_input(arguments).startswith(shown_of(arguments, cuts))


def test_a_character_that_no_database_stores_is_replaced():
    assert free_form_input('{"input": "a\\u0000b\\ud800c"}') == "ab\ufffdc"
