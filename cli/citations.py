"""Which sources an answer cites, and the lines that tell of them."""

import re
from collections.abc import Iterable

from cli.document import place
from cli.fields import Fields
from cli.terminal import shortened

# What stands in code cites nothing, nor does a link's text.
_CODE = re.compile(r"^ *(```|~~~).*?(?:^ *\1|\Z)|(`+).*?\2", re.DOTALL | re.MULTILINE)
_CITED = re.compile(r"(?<!\\)\[ *([0-9]{1,4}(?: *, *[0-9]{1,4})*) *\](?![(:])")


def cited(text: str, sources: Iterable[Fields]) -> list[str]:
    """Return a line for each source whose number the text cites, by number: `[1] Handbook, page 3: Leave is 30 days.`"""
    numbers = {int(number) for match in _CITED.finditer(_CODE.sub("", text)) for number in match[1].split(",")}
    by_number = {int(source.number("number") or 0): source for source in sources}
    return [f"[{number}] {_told(by_number[number])}" for number in sorted(numbers & by_number.keys())]


def _told(source: Fields) -> str:
    snippet = shortened(source.text("snippet"), characters=160)
    return f"{place(source)}: {snippet}" if snippet else place(source)
