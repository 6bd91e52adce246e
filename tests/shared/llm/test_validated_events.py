"""A vendor may send anything: only events with usable fields reach a turn."""

import pytest

from parley.llm.errors import UnusableAnswer
from parley.llm.messages import Finished, TextDelta, ToolCall, ToolCallDelta, Usage
from parley.llm.provider import validated_events


@pytest.mark.parametrize("kind", [lambda id, name: ToolCall(id, name, "{}"), lambda id, name: ToolCallDelta(0, id, name, "{")])
@pytest.mark.parametrize(("id", "name"), [("", "search"), ("call_1", ""), (7, "search")])
def test_a_call_without_an_id_or_a_name_makes_the_answer_unusable(kind, id, name):
    with pytest.raises(UnusableAnswer):
        list(validated_events(iter([kind(id, name)]), provider="acme"))


def test_usable_events_pass_with_storable_text():
    events = [TextDelta("a\0b"), ToolCall("call_1", "search", "{}"), ToolCallDelta(0, "call_1", "search", "{")]

    assert list(validated_events(iter(events), provider="acme")) == [TextDelta("ab"), *events[1:]]


@pytest.mark.parametrize(("cached", "written", "is_usable"), [(4, 6, True), (10, 0, True), (5, 6, False), (8, 4, False)])
def test_no_more_tokens_can_be_cached_than_were_read(cached, written, is_usable):
    finished = Finished("stop", Usage(10, 1, cached_input_tokens=cached, cache_write_tokens=written))
    try:
        assert list(validated_events(iter([finished]), provider="acme")) == [finished]
    except UnusableAnswer:
        assert not is_usable
    else:
        assert is_usable


def test_more_tokens_than_the_ledger_can_hold_make_the_answer_unusable():
    most, too_many = (Finished("stop", Usage(tokens, 1)) for tokens in (2**31 - 1, 2**31))

    assert list(validated_events(iter([most]), provider="acme")) == [most]
    with pytest.raises(UnusableAnswer):
        list(validated_events(iter([too_many]), provider="acme"))
