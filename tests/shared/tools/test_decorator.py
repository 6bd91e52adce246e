from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from parley.ids import new_id
from parley.tools.decorator import tool
from parley.tools.guarded_http.client import GuardedHttp
from parley.tools.spec import ToolContext, ToolUnusable

CALL = ToolContext(new_id(), GuardedHttp())


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Box(BaseModel):
    """A box for things."""

    width: int
    colour: Colour = Colour.RED


@tool(requires_approval=True, timeout_s=3, scopes=["documents"], egress=True, writes=True, enabled=False)
def pack(
    box: Box,
    things: Annotated[list[str], Field(description="What goes in", min_length=1)],
    model_name: str | None = None,
    schema: int | str = 1,
    *,
    how: Literal["gently", "fast"] = "gently",
    call: ToolContext,
) -> str:
    """Pack things into a box.

    Say how.
    """
    return f"{how} {things} {box.width} {box.colour.value} {model_name} {schema} {call.user_id}"


def test_name_docstring_and_hints_are_what_the_model_reads():
    spec = pack.spec
    fields = spec.parameters["properties"]

    assert (spec.name, spec.description) == ("pack", "Pack things into a box.\n\nSay how.")
    assert fields["things"] == {"description": "What goes in", "items": {"type": "string"}, "minItems": 1, "type": "array"}
    assert fields["model_name"] == {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
    assert fields["how"]["enum"] == ["gently", "fast"]
    assert spec.parameters["required"] == ["box", "things"]
    assert spec.parameters["$defs"]["Colour"]["enum"] == ["red", "blue"]
    assert spec.parameters["additionalProperties"] is False


def test_the_decorators_arguments_are_the_specs_fields():
    spec = pack.spec

    assert (spec.requires_approval, spec.timeout_s, spec.scopes, spec.egress, spec.writes, spec.is_enabled) == (
        True,
        3,
        ("documents",),
        True,
        True,
        False,
    )


def test_a_function_without_arguments_of_the_decorator_is_on_and_harmless():
    @tool
    def wait() -> str:
        """Wait."""
        return ""

    spec = wait.spec

    assert (spec.is_enabled, spec.requires_approval, spec.egress, spec.writes, spec.scopes) == (True, False, False, False, ())


def test_the_function_gets_values_of_its_hinted_types_and_the_context():
    output = pack.run({"box": {"width": 2, "colour": "blue"}, "things": ["a"], "schema": "x"}, CALL)

    assert output == f"gently ['a'] 2 blue None x {CALL.user_id}"


@pytest.mark.parametrize(
    "arguments", [{}, {"box": {"width": "wide"}, "things": ["a"]}, {"box": {"width": 1}, "things": ["a"], "call": {"user_id": "other"}}]
)
def test_invalid_arguments_run_nothing(arguments):
    with pytest.raises(ValidationError):
        pack.run(arguments, CALL)


def test_the_context_is_not_an_argument():
    assert "call" not in pack.spec.parameters["properties"]


def test_the_decorator_works_without_parentheses():
    @tool
    def ping() -> str:
        """Say pong."""
        return "pong"

    assert ping.run({}, CALL) == "pong"
    assert ping.spec.parameters["properties"] == {}


class Opaque:
    """A class that JSON cannot hold."""


def unhinted(text):
    """Say."""


def starred(*texts: str) -> str:
    """Say."""
    return ""


def undescribed(text: str) -> str:
    return text


def opaque(lock: Opaque) -> str:
    """Say."""
    return ""


def callback(then: Callable[[], str]) -> str:
    """Say."""
    return ""


def mute() -> str:
    """Say."""
    return ""


@pytest.mark.parametrize("function", [unhinted, starred, undescribed, opaque, callback])
def test_a_function_that_cannot_be_described_is_rejected(function):
    with pytest.raises(ToolUnusable, match=function.__name__):
        tool(function)


@pytest.mark.parametrize("options", [{"name": "server.tool"}, {"name": "a" * 65}, {"name": "ä"}, {"timeout_s": 11}, {"timeout_s": 0}])
def test_invalid_names_and_timeouts_are_rejected(options):
    with pytest.raises(ToolUnusable):
        tool(**options)(mute)
