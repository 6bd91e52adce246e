"""Tool calls whose pieces a vendor mixes, brought into the order of streams that have one open item at a time."""

import pytest

from functions.chat.completions.call_sequence import in_sequence
from functions.chat.turn.events import Ping
from parley.llm.messages import Finished, TextDelta, ToolCall, ToolCallDelta

END = Finished("tool_calls")


def piece(index, arguments, id=None):
    return ToolCallDelta(index, id or f"c{index}", "add", arguments)


def whole(index, arguments, id=None):
    return ToolCall(id or f"c{index}", "add", arguments)


def test_a_call_ends_as_soon_as_the_next_begins():
    arrived = [piece(0, '{"a"'), piece(0, ": 1}"), piece(1, "{}"), whole(0, '{"a": 1}'), whole(1, "{}"), END]

    assert list(in_sequence(arrived)) == [*arrived[:2], whole(0, '{"a": 1}'), piece(1, "{}"), whole(1, "{}"), END]


def test_mixed_pieces_wait_for_the_end_of_the_open_call():
    arrived = [piece(0, '{"a"'), piece(1, '{"b"'), Ping(), piece(0, ": 1}"), piece(1, ": 2}")]
    ends = [whole(0, '{"a": 1}'), whole(1, '{"b": 2}'), END]

    assert list(in_sequence([*arrived, *ends])) == [
        *(piece(0, '{"a"'), Ping(), piece(0, ": 1}"), whole(0, '{"a": 1}')),
        *(piece(1, '{"b"'), piece(1, ": 2}"), whole(1, '{"b": 2}'), END),
    ]


def test_text_after_a_complete_call_follows_it_and_white_space_is_dropped():
    arrived = [piece(0, "{}"), TextDelta("so"), piece(0, "\n"), whole(0, "{}"), END]

    assert list(in_sequence(arrived)) == [piece(0, "{}"), whole(0, "{}"), TextDelta("so"), END]


def test_text_within_a_call_is_not_lost_if_the_answer_ends_there():
    arrived = [piece(0, '{"a'), TextDelta("so"), Finished("length")]

    assert list(in_sequence(arrived)) == arrived


def test_calls_with_the_same_id_are_two_calls():
    arrived = [piece(0, "{}", "c"), piece(1, "[", "c"), whole(0, "{}", "c"), whole(1, "[", "c"), END]

    assert list(in_sequence(arrived)) == [arrived[0], arrived[2], arrived[1], arrived[3], END]


@pytest.mark.parametrize("events", [[whole(0, "{}"), whole(1, "[1]"), END], [TextDelta("a"), Ping(), TextDelta("b"), END]])
def test_whole_calls_and_texts_pass_unchanged(events):
    assert list(in_sequence(events)) == events
