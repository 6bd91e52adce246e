"""Tools with any name and schema at every vendor: the real SDKs send them, and a fake vendor reads them."""

import json
import re
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from parley.llm.messages import Message, ModelRequest, ToolCall, ToolDefinition, ToolResult
from parley.llm.vendors.tool_calls import vendor_name
from parley.tools.decorator import tool
from tests.fakes.wire_formats.wire_format import CALLS

DOTTED = "town.weather"


class Place(BaseModel):
    town: str
    streets: list[str] = []


@tool
def look(
    place: Place,
    by: str | None = None,
    n: int | float = 1,
    how: Literal["near", "far"] = "near",
    more: dict[str, list[Place]] | None = None,
) -> str:
    """Look there."""
    return f"{place} {by} {n} {how} {more}"


SHAPES = ToolDefinition(DOTTED, look.spec.description, look.spec.parameters)


@pytest.fixture
def dotted_call():
    """Script a call of the dotted tool under the name that the vendor received."""
    before = CALLS[1]
    CALLS[1] = (before[0], vendor_name(DOTTED), before[2])
    yield ToolCall(before[0], DOTTED, before[2])
    CALLS[1] = before


def values_of(document, name):
    """Yield every value of a key, anywhere in a document."""
    if isinstance(document, dict):
        return [value for key, value in document.items() if key == name] + [
            hit for value in document.values() for hit in values_of(value, name)
        ]
    return [hit for value in document for hit in values_of(value, name)] if isinstance(document, list) else []


def test_a_dotted_tool_name_is_replaced_for_the_vendor_and_restored(vendor, wire, dotted_call):
    wire.plays(vendor, wire.calls())
    earlier = [
        Message("user", "a"),
        Message("assistant", [ToolCall("call_ccc3", DOTTED, "{}")]),
        Message("tool", [ToolResult("call_ccc3", "b")]),
    ]
    events = list(wire.provider(vendor).stream("m", ModelRequest([*earlier, Message("user", "c")], tools=[SHAPES])))

    assert dotted_call in events
    assert values_of(vendor.last_body, "name").count(vendor_name(DOTTED)) == 2
    assert DOTTED not in json.dumps(vendor.last_body)


def test_a_schema_with_nested_optional_union_and_enum_fields_arrives_unchanged(vendor, wire):
    wire.plays(vendor, wire.texts("ok"))
    list(wire.provider(vendor).stream("m", ModelRequest([Message("user", "a")], tools=[SHAPES])))
    sent = [*values_of(vendor.last_body, "parameters"), *values_of(vendor.last_body, "input_schema"), *values_of(vendor.last_body, "json")]

    assert sent[0] == look.spec.parameters
    assert set(sent[0]["properties"]) == {"place", "by", "n", "how", "more"}


def test_an_unknown_tool_name_is_returned_unchanged(vendor, wire):
    wire.plays(vendor, wire.calls())
    events = list(wire.provider(vendor).stream("m", ModelRequest([Message("user", "a")], tools=[SHAPES])))

    assert {event.name for event in events if isinstance(event, ToolCall)} == {"calculator", "weather"}


@given(st.text(min_size=1, max_size=150) | st.from_regex(r"[a-z]{1,9}\.[a-z_.-]{1,90}", fullmatch=True))
def test_every_name_is_converted_to_one_that_all_vendors_accept(name):
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", vendor_name(name))
    assert vendor_name(vendor_name(name)) == vendor_name(name)


@given(st.lists(st.text("ab._-ä", min_size=1, max_size=80), unique=True))
def test_different_tools_have_different_names(names):
    assert len({vendor_name(name) for name in names}) == len(names)
