"""Terminal output: text, tables, times and progress. Nothing from a model or a server may steer the terminal."""

import io
import json
import os
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

import click

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


# C1 controls that open a sequence (ECMA-48, 8.3); the rest of C1 stands alone.
OPENERS = {"\x1b": "escape", "\x9b": "csi", **dict.fromkeys("\x90\x98\x9d\x9e\x9f", "string")}


AFTER_ESCAPE = {"[": "csi", **dict.fromkeys("]PX^_", "string")}


class ControlFilter:
    """Removes terminal control from text that arrives in pieces.

    Sequences (colours, cursor, titles, clipboard) go as a whole, also when one is split over
    pieces; line feeds and tabs stay. Every other control character goes and ends a sequence, so
    an unterminated title swallows the rest of its line at most.
    """

    def __init__(self) -> None:
        self._state = "text"

    def feed(self, text: str) -> str:
        """Return what of `text` may be printed."""
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
    """Return `text` without terminal control, lines kept."""
    return ControlFilter().feed(text)


def one_line(text: str) -> str:
    """Return `text` without terminal control on one line."""
    return " ".join(plain_text(text).split())


def shortened(text: str, *, characters: int) -> str:
    """Return `text` on one line of at most `characters`."""
    flat = one_line(text)
    return flat if len(flat) <= characters else flat[: characters - 1] + "…"


def json_text(value: object) -> str:
    """Return JSON that a terminal can show: DEL and C1 controls, which JSON lets pass, are escaped too."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return re.sub("[\x7f-\x9f]", lambda match: f"\\u{ord(match[0]):04x}", text)


def print_note(text: str) -> None:
    """Print a dim line on stderr for a person; scripts, which read no terminal, are spared."""
    if sys.stderr.isatty():
        click.secho(one_line(text), err=True, dim=True)


def aligned_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns, two blanks apart."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def tolerate_narrow_encodings() -> None:
    """Print `?` for what the terminal's encoding lacks, instead of failing half way through an answer."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def wants_color() -> bool | None:
    """Return False where colour is not wanted (https://no-color.org), else None: click decides."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


def local_time(moment: str) -> str:
    """Return an RFC 3339 time to the minute on this computer's clock; anything else as it is."""
    try:
        return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError):
        return one_line(moment)


_BAR_WIDTH = 20


class ProgressLine:
    """Shows itself on stderr where that is a terminal, and is wiped away at the end."""

    def __enter__(self) -> Self:
        self._is_shown = sys.stderr.isatty()
        self._step = ""
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self.show("")

    def show(self, text: str) -> None:
        """Replace the line by `text`."""
        if self._is_shown:
            click.echo(f"\r\x1b[K{one_line(text)}", nl=False, err=True, color=True)

    def step(self, text: str) -> None:
        """Print `text` as a line of its own where nobody sees `show`, unless it was the last that was printed."""
        if not self._is_shown and text != self._step:
            click.echo(one_line(text), err=True)
        self._step = text

    def keep(self, text: str) -> None:
        """Print a line on stdout that stays."""
        self.show("")
        click.echo(one_line(text))


def progress_bar(share: float) -> str:
    """Return a share from 0 to 1 as a bar with its per cent."""
    done = min(max(share, 0.0), 1.0)
    full = round(done * _BAR_WIDTH)
    return f"[{'#' * full}{'.' * (_BAR_WIDTH - full)}] {done:.0%}"
