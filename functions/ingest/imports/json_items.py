"""Reads the values of a JSON file one at a time, so that memory does not grow with the file.

A file is a list of conversations, one conversation, or Parley's own export, whose tables are lists.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain

import ijson
from ijson.common import ObjectBuilder

from functions.ingest.imports.archive import BoundedFile
from functions.ingest.imports.errors import CorruptExport

# A conversation in memory takes about five times its text. The function has 1 GB.
MAX_ITEM_BYTES = 32_000_000
MAX_DEPTH = 4_000
_VALUE_BYTES = 32
_PARLEY_KEY, _TABLES_KEY = "parley_export", "tables"

type JsonObject = dict[str, object]
type _Event = tuple[str, object]


@dataclass(frozen=True, slots=True)
class JsonItem:
    """A value of the file, None if it exceeds a limit. `table` names its table in Parley's own export; `size` estimates its bytes."""

    value: JsonObject | None
    size: int
    table: str | None = None


def read_items(file: BoundedFile) -> Iterator[JsonItem]:
    """Yield the file's values in order, an empty object in place of a value of another type. Raises CorruptExport and ExportTooLarge."""
    events = _events(file)
    try:
        first, _ = next(events)
        if first == "start_array":
            yield from _elements(events, None)
        elif first == "start_map":
            yield from _members(events)
        else:
            raise CorruptExport("neither a list nor an object")
        for _ in events:  # what follows must be JSON, too
            pass
    except StopIteration as exc:
        raise CorruptExport("the file is empty") from exc
    except (ijson.JSONError, ValueError, ArithmeticError) as exc:
        # The error repeats the text around the place, which may be a user's.
        raise CorruptExport(type(exc).__name__) from None


def _events(file: BoundedFile) -> Iterator[_Event]:
    limit = sys.get_int_max_str_digits()
    # The parser, written in C, crashes the process if Python refuses to convert an integer.
    sys.set_int_max_str_digits(0)
    try:
        # With `use_float`, it would reject integers of more than 64 bits.
        for event, value in ijson.basic_parse(file):
            file.bytes_since_event = 0
            yield event, float(value) if isinstance(value, Decimal) else value
    finally:
        sys.set_int_max_str_digits(limit)


def _members(events: Iterator[_Event]) -> Iterator[JsonItem]:
    """Yield the rows of Parley's own export, or the whole object."""
    event, key = next(events)
    if key != _PARLEY_KEY:
        yield _read_value(chain([("start_map", None), (event, key)], events), None)
        return
    depth = 1
    for event, value in events:
        if depth == 1 and (event, value) == ("map_key", _TABLES_KEY):
            yield from _tables(events)
        depth += event.startswith("start_") - event.startswith("end_")


def _tables(events: Iterator[_Event]) -> Iterator[JsonItem]:
    table = ""
    for event, value in events:
        if event == "map_key":
            table = str(value)
        elif event == "start_array":
            yield from _elements(events, table)
        elif event == "end_map":
            return


def _elements(events: Iterator[_Event], table: str | None) -> Iterator[JsonItem]:
    for event in events:
        if event[0] == "end_array":
            return
        yield _read_value(chain([event], events), table)


def _read_value(events: Iterator[_Event], table: str | None) -> JsonItem:
    """Read one value to its end. A value over the limits is read, too, but not kept."""
    builder: ObjectBuilder | None = ObjectBuilder()
    depth = size = 0
    for event, value in events:
        size += _VALUE_BYTES + (len(value) if isinstance(value, str) else 0)
        depth += event.startswith("start_") - event.startswith("end_")
        if builder is not None:
            builder.event(event, value)
            if size > MAX_ITEM_BYTES or depth > MAX_DEPTH:
                builder = None
        if depth == 0:
            break
    if builder is None:
        return JsonItem(None, size, table)
    return JsonItem(builder.value if isinstance(builder.value, dict) else {}, size, table)
