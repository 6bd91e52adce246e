"""Citations: the numbers of sources in what a model writes.

`[3]`, `[1][2]` and `[1, 2]` cite. What stands in a code block or between backticks does not, nor does a link's text:
`[1](address)` leads where the model wants, and `[1]: address` at the beginning of a line says where.
"""

import re
from collections.abc import Iterator

_FENCE = re.compile(r"[\s>]*(?:(?:[-*+]|\d+[.)])\s+)?(`{3,}(?=[^`]*$)|~{3,})(.*)")
_SPAN = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
_CITED = re.compile(r"(?<!\\)\[ *([1-9][0-9]{0,3}(?: *, *[1-9][0-9]{0,3})*) *\](?!\()")
_LINK_TARGET = re.compile(r"^[ >]*\[[^\]\n]*\]:[^\n]*$", re.MULTILINE)


def cited_numbers(text: str) -> set[int]:
    """Return the numbers that a text cites, whether or not there are such sources."""
    words = _LINK_TARGET.sub("", _SPAN.sub("`", "\n".join(_outside_fences(text))))
    return {int(number) for match in _CITED.finditer(words) for number in match[1].split(",")}


def _outside_fences(text: str) -> Iterator[str]:
    """Yield the lines that stand in no code block; one that is never closed goes to the end. A block parts what is around it."""
    fence = ""
    for line in text.splitlines():
        found = _FENCE.match(line)
        if not fence and not found:
            yield line
        elif not fence and found:
            fence = found[1]
            yield ""
        elif found and found[1].startswith(fence) and not found[2].strip():
            fence = ""
