"""Measures how the processor time of a regular expression grows with its input.

The time itself depends on the machine and its load. The ratio of the times for two sizes does not: with four times the text, a
linear pattern takes four times as long, and a quadratic pattern sixteen times.
"""

import re
import time
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

_PARSER: Any = re._parser  # type: ignore[attr-defined]
_SIZES = (24, 96, 400, 1_600, 6_400)
# Linear patterns take about four times as long for the next size. Below `_NOTICEABLE_S`, the clock's noise dominates the ratio.
_MAX_RATIO = 9.0
_NOTICEABLE_S = 0.004
_MAX_UNITS = 14


def is_linear(run: Callable[[str], object], make_text: Callable[[int], str]) -> bool:
    """Return whether the time of `run` is proportional to the length of its text. `make_text(n)` returns about n characters."""
    before_s = 0.0
    for size in _SIZES:
        text = make_text(size)
        spent_s = _spent_s(run, text)
        if spent_s > _NOTICEABLE_S and spent_s > _MAX_RATIO * max(before_s, _NOTICEABLE_S / _MAX_RATIO):
            before_s = min(_spent_s(run, make_text(size // 4)) for _ in range(3))
            spent_s = min(_spent_s(run, text) for _ in range(2))
            if spent_s > _MAX_RATIO * max(before_s, _NOTICEABLE_S / _MAX_RATIO):
                return False
        before_s = spent_s
    return True


def worst_texts(pattern: str) -> Iterator[Callable[[int], str]]:
    """Yield functions that make texts of a given length on which a bad pattern backtracks most.

    A text is an optional beginning that matches part of the pattern, then one unit repeated, then optionally a character that few
    patterns accept. The units are literals of the pattern, characters of its classes, a few common characters, and all pairs of these.
    """
    units = _units(pattern)
    pumps = dict.fromkeys([*units, *map("".join, product(units, repeat=2))])
    for start, pump, end in product(("", *_heads(pattern)), pumps, ("", "\x01")):
        yield lambda size, start=start, pump=pump, end=end: start + pump * (size // len(pump)) + end  # type: ignore[misc]


def _units(pattern: str) -> list[str]:
    words: list[str] = []
    _collect(_PARSER.parse(pattern), words)
    return list(dict.fromkeys([*words, "a", "7", " "]))[:_MAX_UNITS]


def _heads(pattern: str) -> list[str]:
    """Return texts that match the pattern up to each of its first six repetitions, and a text that matches all of it."""
    example, heads = "", list[str]()
    for part in _PARSER.parse(pattern):
        if str(part[0]).endswith("_REPEAT"):
            heads.append(example)
        example += _example(part)
    return list(dict.fromkeys([*heads[:6], example]))


def _example(part: Any) -> str:
    """Return a text that matches a part of a parsed pattern; the text for an optional part is empty."""
    kind, value = part
    match str(kind):
        case "LITERAL":
            return chr(value)
        case "NOT_LITERAL":
            return "a"
        case "ANY":
            return "a"
        case "IN":
            return next((chr(number) for number in range(32, 127) if re.fullmatch(_in_source(value), chr(number))), "a")
        case "SUBPATTERN":
            return "".join(map(_example, value[3]))
        case "ATOMIC_GROUP":
            return "".join(map(_example, value))
        case "BRANCH":
            return "".join(map(_example, value[1][0]))
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return "".join(map(_example, value[2])) * value[0]
    return ""


def _in_source(items: Any) -> str:
    """Return the source of a parsed character class."""
    parts = []
    for kind, value in items:
        match str(kind):
            case "NEGATE":
                parts.append("^")
            case "LITERAL":
                parts.append(re.escape(chr(value)))
            case "RANGE":
                parts.append(f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}")
            case _:
                parts.append(_CLASSES[str(value)])
    return f"[{''.join(parts)}]"


def _collect(parsed: Any, words: list[str]) -> None:
    """Append the literal words of a parsed pattern, and a few characters of each character class, to `words`."""
    word = ""
    for kind, value in [*parsed, (None, None)]:
        name = str(kind)
        if name == "LITERAL":
            word += chr(value)
            continue
        if word:
            words += [word, word[0]]
            word = ""
        if name == "IN":
            words += [chr(item[1] if str(item[0]) == "LITERAL" else item[1][0]) for item in value if str(item[0]) in {"LITERAL", "RANGE"}][
                :3
            ]
            words += [_CATEGORIES[str(item[1])] for item in value if str(item[0]) == "CATEGORY" and str(item[1]) in _CATEGORIES]
        elif name == "CATEGORY" and str(value) in _CATEGORIES:
            words.append(_CATEGORIES[str(value)])
        elif name == "NOT_LITERAL":
            words.append(chr(value))
        else:
            _collect_nested(value, words)


def _collect_nested(value: Any, words: list[str]) -> None:
    if isinstance(value, _PARSER.SubPattern):
        _collect(value, words)
    elif isinstance(value, (tuple, list)):
        for item in value:
            _collect_nested(item, words)


_CLASSES = {
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
_CATEGORIES = {"CATEGORY_SPACE": " ", "CATEGORY_DIGIT": "7", "CATEGORY_WORD": "a"}


def _spent_s(run: Callable[[str], object], text: str) -> float:
    began_s = time.thread_time()
    run(text)
    return time.thread_time() - began_s
