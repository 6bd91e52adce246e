"""The conditions of a SCIM filter on columns (RFC 7644, 3.4.2.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, false, func

type Operator = Literal["eq", "co", "sw", "ew"]


# Other texts are compared regardless of case. Addresses are stored in lower case.
_EXACT = {"email", "external_id"}


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of a field. A UUID or a truth value is compared only by `eq`.

    PostgreSQL lowers both sides of a text, as Python has other rules for some letters, such as the capital I with a dot.
    """

    field: str
    operator: Operator
    value: str | bool | UUID


def all_of(conditions: Sequence[Condition], columns: Mapping[str, ColumnElement[Any]]) -> list[ColumnElement[bool]]:
    """Return the conditions on `columns`, which are keyed by field."""
    return [_compare(columns[condition.field], condition, is_exact=condition.field in _EXACT) for condition in conditions]


def _compare(column: ColumnElement[Any], condition: Condition, *, is_exact: bool) -> ColumnElement[bool]:
    value = condition.value
    if condition.operator == "eq":
        return column == value if is_exact or not isinstance(value, str) else func.lower(column) == func.lower(value)
    if not isinstance(value, str):
        return false()
    match condition.operator:
        case "co":
            return (column.contains if is_exact else column.icontains)(value, autoescape=True)
        case "sw":
            return (column.startswith if is_exact else column.istartswith)(value, autoescape=True)
        case "ew":
            return (column.endswith if is_exact else column.iendswith)(value, autoescape=True)
