"""Filters and paths of SCIM (RFC 7644, 3.4.2.2 and 3.5.2): comparisons that are joined by `and`.

The parser reads a text once from left to right. `or`, `not`, `pr` and comparisons of order are not supported, nor is a filter within
the brackets of a filter: identity providers use none of them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from functions.auth.scim.errors import ScimError
from parley.db.scim.conditions import Operator

MAX_LENGTH = 2048
MAX_TERMS = 10
_OPERATORS: tuple[Operator, ...] = get_args(Operator.__value__)
_OPERATOR_LENGTH = 2
_CORE_SCHEMAS = ("urn:ietf:params:scim:schemas:core:2.0:user:", "urn:ietf:params:scim:schemas:core:2.0:group:")
_TRUTH_VALUES = {"true": True, "false": False}
_DECODER = json.JSONDecoder()

type Value = str | bool


@dataclass(frozen=True, slots=True)
class AttributePath:
    """A path such as `emails[type eq "work"].value`: the attribute and its part in lower case, and the filter between brackets."""

    attribute: str
    part: str | None = None
    filter: Sequence["Term"] = ()


@dataclass(frozen=True, slots=True)
class Term:
    """A comparison of a filter."""

    path: AttributePath
    operator: Operator
    value: Value

    def matches(self, value: Value) -> bool:
        """Return whether the value of a resource's attribute fulfils the comparison, regardless of case."""
        if isinstance(value, bool) or isinstance(self.value, bool):
            return self.operator == "eq" and value is self.value
        left, right = value.lower(), self.value.lower()
        match self.operator:
            case "eq":
                return left == right
            case "co":
                return right in left
            case "sw":
                return left.startswith(right)
            case "ew":
                return left.endswith(right)


class InvalidFilter(ScimError):
    """The filter is malformed, or uses an operator or attribute that is not supported."""

    def __init__(self, detail: str) -> None:
        super().__init__("invalidFilter", detail)


class InvalidPath(ScimError):
    """The path of a PATCH operation is malformed or names an unknown attribute."""

    def __init__(self, detail: str = "The path is malformed or names an unknown attribute.") -> None:
        super().__init__("invalidPath", detail)


def parse_filter(text: str) -> list[Term]:
    """Return the comparisons of a filter; a resource must fulfil all of them. Raises InvalidFilter."""
    if len(text) > MAX_LENGTH:
        raise InvalidFilter(f"The filter has more than {MAX_LENGTH} characters.")
    rest = text.strip()
    terms: list[Term] = []
    while True:
        term, rest = _read_term(rest)
        terms.append(term)
        if not rest:
            return terms
        word, _, rest = rest.partition(" ")
        if word.lower() != "and":
            raise InvalidFilter("Only comparisons that are joined by `and` are supported.")
        if len(terms) == MAX_TERMS:
            raise InvalidFilter(f"The filter has more than {MAX_TERMS} comparisons.")
        rest = rest.lstrip()


def parse_path(text: str) -> AttributePath:
    """Return the path of an attribute. Raises InvalidPath, and InvalidFilter for the filter between its brackets."""
    name = text.strip()
    schema = next((schema for schema in _CORE_SCHEMAS if name.lower().startswith(schema)), "")
    name = name[len(schema) :]
    if name.lower().startswith("urn:"):
        return AttributePath(name.lower())  # an attribute of an extension
    if "[" not in name:
        attribute, dot, part = name.partition(".")
        return AttributePath(_checked(attribute), _checked(part) if dot else None)
    attribute, _, rest = name.partition("[")
    inner, bracket, part = rest.rpartition("]")
    if not bracket or "[" in inner or (part and not part.startswith(".")):
        raise InvalidPath
    return AttributePath(_checked(attribute), _checked(part[1:]) if part else None, tuple(parse_filter(inner)))


def _read_term(text: str) -> tuple[Term, str]:
    """Return the first comparison, and the text that follows it."""
    first_word = text.partition(" ")[0]
    end = text.find(" ", text.find("]") if "[" in first_word else 0)
    if end < 0:
        raise InvalidFilter("A comparison consists of an attribute, an operator and a value.")
    path, rest = text[:end], text[end:].lstrip()
    name, rest = rest[:_OPERATOR_LENGTH].lower(), rest[_OPERATOR_LENGTH:]
    operator = next((known for known in _OPERATORS if known == name), None)
    if operator is None or not rest.startswith((" ", '"')):
        raise InvalidFilter(f"Supported operators are {', '.join(_OPERATORS)}.")
    try:
        value, rest = _read_value(rest.lstrip())
        return Term(parse_path(path), operator, value), rest.lstrip()
    except InvalidPath as exc:
        raise InvalidFilter("An attribute of the filter is malformed.") from exc


def _read_value(text: str) -> tuple[Value, str]:
    if not text.startswith('"'):
        word, _, rest = text.partition(" ")
        if word.lower() not in _TRUTH_VALUES:
            raise InvalidFilter("A value is a text in quotes, or true or false.")
        return _TRUTH_VALUES[word.lower()], rest
    try:
        value, end = _DECODER.raw_decode(text)
    except ValueError as exc:
        raise InvalidFilter("A text of the filter is not closed or malformed.") from exc
    if not isinstance(value, str) or not value.isprintable():
        raise InvalidFilter("A text of the filter contains a control character.")
    return value, text[end:]


def _checked(name: str) -> str:
    """Return the name of an attribute in lower case, or raise InvalidPath."""
    if not name.isascii() or not name.replace("_", "").replace("-", "").removeprefix("$").isalnum():
        raise InvalidPath
    return name.lower()
