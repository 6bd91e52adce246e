"""Texts with typed variables: `{{city}}`, `{{nights:number}}` and `{{tone:choice(formal,friendly)}}`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from parley.errors import InvalidInput

MAX_VARIABLES = 20
MAX_VALUE_CHARACTERS = 100_000
MAX_FILLED_CHARACTERS = 200_000
# Every repetition is bounded or ends at a brace, so the time for all matches is proportional to the length of the text.
_VARIABLE = re.compile(r"\{\{ {0,4}([a-z][a-z0-9_]{0,29})(?::(?:(text|number)|choice\(([^(){}\n]{1,400})\)))? {0,4}\}\}")
_NUMBER = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?")


@dataclass(frozen=True, slots=True)
class TemplateVariable:
    """A variable of a text. Only the type `choice` has choices."""

    name: str
    type: Literal["text", "number", "choice"] = "text"
    choices: tuple[str, ...] = ()


def find_variables(text: str) -> list[TemplateVariable]:
    """Return the variables of a text in the order of their first use, which gives the type; a later use may repeat or omit the type.

    Raises InvalidInput for double braces that open no variable, for a variable with two types, and for more than `MAX_VARIABLES`.
    """
    found: dict[str, TemplateVariable] = {}
    for match in _VARIABLE.finditer(text):
        variable = _variable(match)
        if found.setdefault(variable.name, variable) != variable and (match[2] or match[3]):
            raise InvalidInput(f"the variable {variable.name} has two types", loc=("body", "text"), evidence="two types")
    # A space, because the text around a variable must not become a pair of braces.
    if "{{" in _VARIABLE.sub(" ", text):
        message = "double braces must enclose a variable: {{city}}, {{nights:number}} or {{tone:choice(formal,friendly)}}"
        raise InvalidInput(message, loc=("body", "text"))
    if len(found) > MAX_VARIABLES:
        raise InvalidInput(f"must have at most {MAX_VARIABLES} variables", loc=("body", "text"))
    return list(found.values())


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return the text with the values of its variables. Values are not searched for variables.

    Raises InvalidInput for a missing, unknown or unsuitable value, and if the result has more than `MAX_FILLED_CHARACTERS`.
    """
    variables = find_variables(text)
    for variable in variables:
        _check(variable, values.get(variable.name, ""))
    if values.keys() - {variable.name for variable in variables}:
        raise InvalidInput("the prompt has no such variable", loc=("body", "values"))
    if len(text) + sum(len(values[match[1]]) for match in _VARIABLE.finditer(text)) > MAX_FILLED_CHARACTERS:
        raise InvalidInput(f"the filled prompt must have at most {MAX_FILLED_CHARACTERS:,} characters", loc=("body", "values"))
    return _VARIABLE.sub(lambda match: values[match[1]], text)


def _variable(match: re.Match[str]) -> TemplateVariable:
    if match[3] is None:
        return TemplateVariable(match[1], "number" if match[2] == "number" else "text")
    choices = tuple(dict.fromkeys(choice.strip() for choice in match[3].split(",") if choice.strip()))
    if not choices:
        raise InvalidInput(f"the variable {match[1]} has no choices", loc=("body", "text"), evidence="no choices")
    return TemplateVariable(match[1], "choice", choices)


def _check(variable: TemplateVariable, value: str) -> None:
    """Raise InvalidInput unless the value suits the variable."""
    loc = ("body", "values", variable.name)
    if not value.strip():
        raise InvalidInput("a value is required", loc=loc)
    if len(value) > MAX_VALUE_CHARACTERS:
        raise InvalidInput(f"must have at most {MAX_VALUE_CHARACTERS:,} characters", loc=loc)
    if variable.type == "number" and not _NUMBER.fullmatch(value):
        raise InvalidInput("must be a number", loc=loc)
    if variable.type == "choice" and value not in variable.choices:
        raise InvalidInput(f"must be one of: {', '.join(variable.choices)}", loc=loc, evidence="not offered")
