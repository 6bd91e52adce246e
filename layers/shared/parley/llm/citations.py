"""Citations: the source numbers that a model's text cites.

`[3]`, `[1][2]` and `[1, 2]` are citations. Code blocks, inline code, links (`[1](url)`) and link definitions (`[1]: url` at
the start of a line) are not, because a model could make a link lead anywhere.
"""

import re
from collections import defaultdict
from collections.abc import Iterator

_FENCE = re.compile(r"[\s>]*(?:(?:[-*+]|\d+[.)])\s+)?(`{3,}(?=[^`]*$)|~{3,})(.*)")
_BACKTICKS = re.compile(r"`+")
_CITED = re.compile(r"(?<!\\)\[ *([1-9][0-9]{0,3}(?: *, *[1-9][0-9]{0,3})*) *\](?!\()")
_LINK_TARGET = re.compile(r"^[ >]*\[[^\]\n]*\]:[^\n]*$", re.MULTILINE)


def cited_numbers(text: str) -> set[int]:
    """Return the numbers that a text cites. Whether such sources exist is not checked."""
    prose = _LINK_TARGET.sub("", "`".join(_outside_spans("\n".join(_outside_fences(text)))))
    return {int(number) for match in _CITED.finditer(prose) for number in match[1].split(",")}


def _outside_fences(text: str) -> Iterator[str]:
    """Yield the lines outside of code blocks, and an empty line for each block. An unclosed block extends to the end."""
    fence = ""
    for line in text.splitlines():
        match = _FENCE.match(line)
        if not fence and not match:
            yield line
        elif not fence and match:
            fence = match[1]
            yield ""
        elif match and match[1].startswith(fence) and not match[2].strip():
            fence = ""


def _outside_spans(text: str) -> Iterator[str]:
    """Yield the parts of a text between its code spans. A span that begins with n backticks ends at the next row of n.

    Takes linear time, unlike a pattern that searches the rest of the text for the end of each span.
    """
    rows = [(match.start(), match.end()) for match in _BACKTICKS.finditer(text)]
    later_rows = defaultdict[int, list[int]](list)
    for index, (start, end) in reversed(list(enumerate(rows))):
        later_rows[end - start].append(index)
    position = next_row = 0
    for index, (start, end) in enumerate(rows):
        later_rows[end - start].pop()
        if index >= next_row and later_rows[end - start]:
            yield text[position:start]
            closing = later_rows[end - start][-1]
            position, next_row = rows[closing][1], closing + 1
    yield text[position:]
