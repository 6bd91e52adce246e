"""Spans of a text that a guard has found, and their replacement in a text that may arrive in pieces."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from parley.llm.model import GuardAction


@dataclass(frozen=True, slots=True)
class TextSpan:
    """A part of a text, `[start, end)`, and the kind of what it contains. Without an `action`, the guard's action applies."""

    start: int
    end: int
    kind: str
    action: GuardAction | None = None

    def shifted(self, offset: int) -> "TextSpan":
        """Return the same span of a text that begins `offset` characters earlier."""
        return replace(self, start=self.start + offset, end=self.end + offset)


@dataclass(frozen=True, slots=True)
class Found:
    """The spans found in a text, in any order. The text from `open_start` on may be the beginning of another span."""

    spans: Sequence[TextSpan]
    open_start: int


class Finder(Protocol):
    """Finds spans in a text. `before` is the character before the text; with `is_end`, no more text follows."""

    def find(self, text: str, *, before: str = "", is_end: bool = True) -> Found: ...


# More than this is not held back for spans that overlap each other without end.
MAX_OVERLAPS = 4096

# Returns the replacement of a span's text. May raise GuardBlocked.
type Replace = Callable[[TextSpan, str], str]


class TextStream(Protocol):
    """A text in pieces: `feed` returns what may be passed on so far, and `rest` what was held back at the end."""

    def feed(self, piece: str) -> str: ...

    def rest(self) -> str: ...


class ReplacedText:
    """A text in pieces whose spans are replaced, also those that are cut across pieces."""

    def __init__(self, finder: Finder, replace: Replace) -> None:
        self._finder, self._replace = finder, replace
        self._held = self._before = ""

    def feed(self, piece: str) -> str:
        """Return the text that may be passed on once `piece` has arrived."""
        text = self._held + piece
        found = self._finder.find(text, before=self._before, is_end=False)
        spans = distinct_spans(found.spans)
        cut = start_of_overlaps(found.spans, found.open_start)
        if found.open_start - cut > MAX_OVERLAPS:
            cut = min([found.open_start, *(span.start for span in spans if span.end > found.open_start)])
        self._held = text[cut:]
        released = text[:cut]
        self._before = released[-1:] or self._before
        return replaced(released, [span for span in spans if span.end <= cut], self._replace)

    def rest(self) -> str:
        """Return the text that was held back. No more pieces follow."""
        text, self._held = self._held, ""
        return replaced(text, distinct_spans(self._finder.find(text, before=self._before).spans), self._replace)


def replace_all(finder: Finder, text: str, replace: Replace) -> str:
    """Return a whole text with its spans replaced."""
    return replaced(text, distinct_spans(finder.find(text).spans), replace)


def distinct_spans(spans: Sequence[TextSpan]) -> list[TextSpan]:
    """Return the spans in order: of two that overlap, the later one begins where the earlier one ends.

    A span that is only reported gives way to all others.
    """
    acting = [span for span in spans if span.action != "report"]
    kept: list[TextSpan] = []
    for span in sorted(acting, key=lambda span: (span.start, -span.end)):
        start = max(span.start, kept[-1].end) if kept else span.start
        if start < span.end:
            kept.append(replace(span, start=start))
    if len(acting) == len(spans):
        return kept
    reported = [span for span in spans if span.action == "report"]
    for span in sorted(reported, key=lambda span: (span.start, -span.end)):
        if not any(span.start < other.end and other.start < span.end for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda span: span.start)


def start_of_overlaps(spans: Sequence[TextSpan], start: int) -> int:
    """Return the last position up to `start` that cuts no span: if a text is cut within overlapping spans, its rest is not found again."""
    for span in sorted(spans, key=lambda span: span.start, reverse=True):
        if span.start < start < span.end:
            start = span.start
    return start


def replaced(text: str, spans: Sequence[TextSpan], replace: Replace) -> str:
    """Return the text with distinct spans replaced, in order."""
    if not spans:
        return text
    pieces, end = list[str](), 0
    for span in spans:
        pieces += [text[end : span.start], replace(span, text[span.start : span.end])]
        end = span.end
    return "".join([*pieces, text[end:]])
