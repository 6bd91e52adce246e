"""Tables of values separated by commas, semicolons, tabs or vertical bars."""

import csv
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import batched, islice

from functions.ingest.block import Block
from functions.ingest.errors import Corrupt

_ROWS = 50
_SAMPLE_CHARACTERS = 8192
_DELIMITERS = ",;\t|"


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
    csv.field_size_limit(len(text))  # by default, a file with a cell of 128 KiB is an error
    try:
        delimiter = _delimiter(text[:_SAMPLE_CHARACTERS])
        dialect = _dialect(text[:_SAMPLE_CHARACTERS], delimiter or _DELIMITERS)
        for row in csv.reader(StringIO(text, newline=""), dialect, delimiter=delimiter or dialect.delimiter):
            if any(cell.strip() for cell in row):
                yield " | ".join(" ".join(cell.split()) for cell in row)
    except csv.Error as exc:
        raise Corrupt(str(exc)) from exc


def _delimiter(sample: str) -> str | None:
    """Return the delimiter by which most rows have as many cells as the first. None if there is none, as below a line with a title.

    The sniffer alone would take the comma of a sentence in some quoted cells.
    """
    share, _, delimiter = max((*_regularity(sample, delimiter), delimiter) for delimiter in _DELIMITERS)
    return delimiter if share > 0.5 else None


def _regularity(sample: str, delimiter: str) -> tuple[float, int]:
    """Return the share of rows that have as many cells as the first row, 0 if that has one, and this number.

    A row with a cell of which only one quote is left was divided within quotes, and does not count.
    """
    rows = [row for row in csv.reader(StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=True) if row]
    whole = rows[:-1] if len(rows) > 1 and len(sample) == _SAMPLE_CHARACTERS else rows
    columns = len(whole[0]) if whole else 0
    regular = [row for row in whole if len(row) == columns and not any(cell.count('"') % 2 for cell in row)]
    return (len(regular) / len(whole) if columns > 1 else 0.0), columns


def _dialect(sample: str, delimiters: str) -> type[csv.Dialect]:
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(sample, delimiters=delimiters)
    except csv.Error:
        return csv.excel
    dialect.doublequote = True  # the sniffer denies it if the sample has no quote inside a cell
    return dialect
