"""Terminal output: text, tables, times and progress. Text from a model or a server cannot control the terminal."""

import io
import itertools
import json
import math
import os
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# ESC and the C1 controls that open a sequence (ECMA-48, 8.3); the other C1 controls are single characters.
OPENERS = {"\x1b": "escape", "\x9b": "csi", **dict.fromkeys("\x90\x98\x9d\x9e\x9f", "string")}
AFTER_ESCAPE = {"[": "csi", **dict.fromkeys("]PX^_", "string")}


class ControlFilter:
    """Removes terminal control sequences from streamed text.

    A sequence (colour, cursor, title, clipboard) is removed whole, even if it is split over
    several deltas. Line feeds and tabs are kept. Every other control character is removed and
    ends a sequence, so an unterminated title removes at most the rest of its line.
    """

    def __init__(self) -> None:
        self._state = "text"

    def feed(self, text: str) -> str:
        """Return the printable characters of the next delta."""
        if self._state == "text" and not CONTROL.search(text):
            return text
        return "".join(char for char in text if self._prints(char))

    def _prints(self, char: str) -> bool:
        if char in "\n\t" or CONTROL.match(char):
            self._state = OPENERS.get(char, "text")
            return char in "\n\t"
        if self._state in ("escape", "csi") and char > "~":
            self._state = "text"
        before, self._state = self._state, self._next(char)
        return before == "text"

    def _next(self, char: str) -> str:
        if self._state == "escape":
            return "escape" if char <= "/" else AFTER_ESCAPE.get(char, "text")
        if self._state == "csi":
            return "csi" if char <= "?" else "text"
        return self._state


def plain_text(text: str) -> str:
    """Return `text` without terminal control sequences. Line feeds and tabs are kept."""
    return ControlFilter().feed(text)


def one_line(text: str) -> str:
    """Return `text` on one line, without terminal control sequences."""
    return " ".join(plain_text(text).split())


def shortened(text: str, *, characters: int) -> str:
    """Return `text` on one line, truncated to `characters`."""
    flat = one_line(text)
    return flat if len(flat) <= characters else flat[: characters - 1] + "…"


def json_text(value: object) -> str:
    """Return indented JSON that is safe to print: DEL and C1 controls, which JSON allows, are escaped too."""
    return _escaped(json.dumps(value, ensure_ascii=False, indent=2))


def json_line(value: object) -> str:
    """Return JSON on one line. Control characters are escaped, so that none hides the text after it."""
    return _escaped(json.dumps(value, ensure_ascii=False))


def _escaped(text: str) -> str:
    return re.sub("[\x7f-\x9f]", lambda match: f"\\u{ord(match[0]):04x}", text)


def dollars(amount: float) -> str:
    """Return an amount in USD: cents, or for less than a cent two significant digits, such as `$0.00003`."""
    if 0 < abs(amount) < 0.01:
        return f"${amount:.{1 - math.floor(math.log10(abs(amount)))}f}".rstrip("0")
    return f"${amount:,.2f}"


def print_note(text: str) -> None:
    """Print a dim line on stderr if it is a terminal, so that scripts do not see it."""
    if sys.stderr.isatty():
        click.secho(one_line(text), err=True, dim=True)


def aligned_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns, two spaces apart."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def tolerate_narrow_encodings() -> None:
    """Print `?` for characters that the terminal's encoding lacks, instead of failing in the middle of an answer."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def wants_color() -> bool | None:
    """Return False if the environment forbids colour (https://no-color.org), else None to let click decide."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


def local_time(moment: str) -> str:
    """Return an RFC 3339 time in this computer's time zone, to the minute. Other text is returned unchanged."""
    try:
        return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError):
        return one_line(moment)


def progress_bar(label: str, *, length: int | None) -> "ProgressBar[int]":
    """Return a context manager that shows a bar on stderr; it shows nothing if stderr is not a terminal.

    A bar without `length` shows activity instead of a percentage.
    """
    return click.progressbar(
        itertools.count(),  # never iterated; without `length`, it tells click that the length is unknown
        length=length,
        label=one_line(label),
        show_eta=False,
        width=20,
        empty_char=".",
        bar_template="%(label)s [%(bar)s] %(info)s",
        file=sys.stderr if sys.stderr.isatty() else io.StringIO(),
    )


def advance(bar: "ProgressBar[int]", position: int) -> None:
    """Move the bar forward to `position` and show its current label. A bar never moves back."""
    bar.update(max(position - bar.pos, 0))
    bar.render_progress()
