"""Citations: the source numbers that a model's text cites.

`[3]`, `[1][2]` and `[1, 2]` are citations. Code blocks, inline code, links (`[1](url)`) and link definitions (`[1]: url` at
the start of a line) are not: a link leads wherever the model wants.
"""

import re
from collections.abc import Iterator

_FENCE = re.compile(r"[\s>]*(?:(?:[-*+]|\d+[.)])\s+)?(`{3,}(?=[^`]*$)|~{3,})(.*)")
_SPAN = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
_CITED = re.compile(r"(?<!\\)\[ *([1-9][0-9]{0,3}(?: *, *[1-9][0-9]{0,3})*) *\](?!\()")
_LINK_TARGET = re.compile(r"^[ >]*\[[^\]\n]*\]:[^\n]*$", re.MULTILINE)


def cited_numbers(text: str) -> set[int]:
    """Return the numbers that a text cites. Whether such sources exist is not checked."""
    prose = _LINK_TARGET.sub("", _SPAN.sub("`", "\n".join(_outside_fences(text))))
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
