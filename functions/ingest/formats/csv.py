"""Tables of values separated by commas, semicolons, tabs or vertical bars."""

import csv
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import batched, islice

from functions.ingest.block import Block
from functions.ingest.errors import Corrupt

_ROWS = 50
_SAMPLE_CHARACTERS = 8192


def read(text: str) -> Iterator[Block]:
    """Yield tables of up to 50 rows, each beginning with the first row of the file. Formulas are treated as text."""
    rows = _rows(text)
    if (header := next(rows, None)) is None:
        return
    # The first batch may be empty: a table without rows still has its column names.
    yield _table(header, islice(rows, _ROWS))
    for batch in batched(rows, _ROWS, strict=False):
        yield _table(header, batch)


def _table(header: str, rows: Iterable[str]) -> Block:
    return Block("table", "\n".join([header, *rows]))


def _rows(text: str) -> Iterator[str]:
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:_SAMPLE_CHARACTERS], delimiters=",;\t|")
        dialect.doublequote = True  # the sniffer denies it if the sample has no quote inside a cell
    except csv.Error:
        dialect = csv.excel
    csv.field_size_limit(len(text))  # by default, a file with a cell of 128 KiB is an error
    try:
        for row in csv.reader(StringIO(text, newline=""), dialect):
            if any(cell.strip() for cell in row):
                yield " | ".join(" ".join(cell.split()) for cell in row)
    except csv.Error as exc:
        raise Corrupt(str(exc)) from exc
