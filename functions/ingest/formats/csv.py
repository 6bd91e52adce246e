"""Tables of comma-separated values; semicolons, tabs and bars are understood as well."""

import csv
from collections.abc import Iterator

from functions.ingest.block import Block
from functions.ingest.errors import Corrupt

_ROWS = 50
_SAMPLE = 8192


def read(text: str) -> Iterator[Block]:
    """Yield tables of some rows each, every one below the first row. A cell that begins like a formula is text like any other."""
    rows = _rows(text)
    header = next(rows, "")
    page: list[str] = []
    for row in rows:
        page.append(row)
        if len(page) == _ROWS:
            yield Block("table", "\n".join([header, *page]))
            page = []
    if page or header:
        yield Block("table", "\n".join([header, *page]))


def _rows(text: str) -> Iterator[str]:
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:_SAMPLE], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        for row in csv.reader(text.splitlines(keepends=True), dialect):
            if any(cell.strip() for cell in row):
                yield " | ".join(" ".join(cell.split()) for cell in row)
    except csv.Error as exc:
        raise Corrupt(str(exc)) from exc
