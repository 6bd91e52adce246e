"""A vendor may send anything: only events with usable fields reach a turn."""

import pytest

from parley.llm.errors import UnusableAnswer
from parley.llm.messages import TextDelta, ToolCall, ToolCallDelta
from parley.llm.provider import validated_events


@pytest.mark.parametrize("kind", [lambda id, name: ToolCall(id, name, "{}"), lambda id, name: ToolCallDelta(0, id, name, "{")])
@pytest.mark.parametrize(("id", "name"), [("", "search"), ("call_1", ""), (7, "search")])
def test_a_call_without_an_id_or_a_name_makes_the_answer_unusable(kind, id, name):
    with pytest.raises(UnusableAnswer):
        list(validated_events(iter([kind(id, name)]), provider="acme"))


def test_usable_events_pass_with_storable_text():
    events = [TextDelta("a\0b"), ToolCall("call_1", "search", "{}"), ToolCallDelta(0, "call_1", "search", "{")]

    assert list(validated_events(iter(events), provider="acme")) == [TextDelta("ab"), *events[1:]]
