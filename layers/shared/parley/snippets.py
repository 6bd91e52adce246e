"""Search snippets: the part of a text that matches a query, with the query's words marked."""

import html
import re
from collections import Counter
from collections.abc import Sequence

SNIPPET_CHARACTERS = 240
_WORD = re.compile(r"\w+")
_CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ENDINGS = ("ings", "ing", "ions", "ion", "ies", "ied", "ed", "es", "ly", "s", "e", "y")
_MIN_STEM_LETTERS = 3


def snippet(text: str, query: str, *, characters: int = SNIPPET_CHARACTERS) -> str:
    """Return the part of the text, about `characters` long, that matches the query best, as escaped HTML with the matches in `<mark>`.

    The best part has the most distinct words of the query. If the text has none of them, return its beginning.
    """
    hits = _word_hits(text, query)
    start, end = _best_span(text, hits, characters)
    marked = "".join(_marked_html(text, start, end, hits))
    return f"{'…' if start else ''}{marked.strip()}{'…' if end < len(text) else ''}"


def excerpt(text: str, query: str, *, characters: int = SNIPPET_CHARACTERS) -> str:
    """Return the same part of the text as `snippet`, but as plain text: an exact substring of `text`."""
    start, end = _best_span(text, _word_hits(text, query), characters)
    return text[start:end].strip()


def _best_span(text: str, hits: Sequence[tuple[int, int, str]], characters: int) -> tuple[int, int]:
    start = _span_start(text, hits, characters)
    return start, _word_end(text, min(start + characters, len(text)))


def _word_hits(text: str, query: str) -> list[tuple[int, int, str]]:
    """Return the start, end and stem of each word of the text that begins with the stem of a query word, in order."""
    stems = {
        stem(word) for long in _WORD.findall(_CAMEL_CASE.sub(" ", query)) for word in long.split("_") if len(word) >= _MIN_STEM_LETTERS
    }
    if not stems:
        return []
    matches = re.finditer(rf"(?<![^\W_])({'|'.join(map(re.escape, sorted(stems, key=len, reverse=True)))})\w*", text, re.IGNORECASE)
    return [(match.start(), match.end(), match[1].casefold()) for match in matches]


def stem(word: str) -> str:
    """Return the word in lower case without its ending: "lives" and "live" have the same stem. English, by simple rules."""
    word = word.casefold()
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) > _MIN_STEM_LETTERS:
            return word.removesuffix(ending)
    return word


def _span_start(text: str, hits: Sequence[tuple[int, int, str]], characters: int) -> int:
    """Return the start of the span with the most distinct words. It is a little before the first of these words."""
    if not hits or len(text) <= characters:
        return 0
    best = _best_hit(hits, characters)
    start = max(0, min(best - characters // 6, len(text) - characters))
    while start and text[start - 1].isalnum() and start < best:
        start += 1
    return start


def _best_hit(hits: Sequence[tuple[int, int, str]], characters: int) -> int:
    """Return the start of the first hit that is followed by the most distinct words within `characters`.

    A sliding window keeps the time linear even if every word of the text is a hit.
    """
    words, end = Counter[str](), 0
    best, best_count = hits[0][0], 0
    for first, _, first_stem in hits:
        while end < len(hits) and hits[end][0] < first + characters:
            words[hits[end][2]] += 1
            end += 1
        if len(words) > best_count:
            best, best_count = first, len(words)
        words[first_stem] -= 1
        if not words[first_stem]:
            del words[first_stem]
    return best


def _word_end(text: str, end: int) -> int:
    """Return the end of the word around `end`, or `end` if the word goes on for 20 characters or more."""
    for position in range(end, min(end + 20, len(text))):
        if not text[position].isalnum():
            return position
    return len(text) if len(text) - end < 20 else end


def _marked_html(text: str, start: int, end: int, hits: Sequence[tuple[int, int, str]]) -> list[str]:
    pieces: list[str] = []
    position = start
    for begin, stop, _ in hits:
        if begin >= position and stop <= end:
            pieces += [html.escape(text[position:begin], quote=False), f"<mark>{html.escape(text[begin:stop], quote=False)}</mark>"]
            position = stop
    return [*pieces, html.escape(text[position:end], quote=False)]
