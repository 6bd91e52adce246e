"""The conditions of a SCIM filter on columns (RFC 7644, 3.4.2.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, false, func

type Operator = Literal["eq", "co", "sw", "ew"]


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of a field. Texts are compared as they are; a UUID or a truth value only by `eq`."""

    field: str
    operator: Operator
    value: str | bool | UUID


def lowered(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the column in lower case, for attributes that ignore case."""
    return func.lower(column)


def all_of(conditions: Sequence[Condition], columns: Mapping[str, ColumnElement[Any]]) -> list[ColumnElement[bool]]:
    """Return the conditions on `columns`, which are keyed by field."""
    return [_compare(columns[condition.field], condition) for condition in conditions]


def _compare(column: ColumnElement[Any], condition: Condition) -> ColumnElement[bool]:
    value = condition.value
    if condition.operator == "eq":
        return column == value
    if not isinstance(value, str):
        return false()
    match condition.operator:
        case "co":
            return column.contains(value, autoescape=True)
        case "sw":
            return column.startswith(value, autoescape=True)
        case "ew":
            return column.endswith(value, autoescape=True)
