"""Blocked words in a text that may arrive in pieces.

The automaton of Aho and Corasick (1975) reads each character once, however many words there are. Its state after a piece is the longest
end of the text with which a blocked word begins: exactly that much of a stream is held back.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from parley.llm.guards.spans import Found, TextSpan

# More white space than this between two words separates them. The limit bounds the text that is held back.
MAX_SPACES = 8

# One character for one, so that positions in the folded text are positions in the original.
_FOLDED = str.maketrans({"\u0130": "i", "\u0131": "i", "\u017f": "s", "\u03a3": "\u03c3", "\u03c2": "\u03c3"})
# Scripts without spaces between words: Thai to Myanmar, Khmer, and those of China and Japan.
_SPACELESS = (
    ("\u0e00", "\u0eff"),
    ("\u1000", "\u109f"),
    ("\u1780", "\u17ff"),
    ("\u3040", "\u30ff"),
    ("\u3400", "\u9fff"),
    ("\uf900", "\ufaff"),
    ("\U00020000", "\U0003ffff"),
)


def folded(text: str) -> str:
    """Return the text in lower case, with as many characters as before."""
    return text.translate(_FOLDED).lower()


class WordFinder:
    """Finds whole words and phrases, in any case, in time proportional to the text."""

    def __init__(self, words: Iterable[str]) -> None:
        self._next: list[dict[str, int]] = [{}]
        self._depths, self._fallbacks = [0], [0]
        self._lengths: list[tuple[int, ...]] = [()]
        for word in words:
            self._add(" ".join(folded(word).split()))
        self._link()

    def find(self, text: str, *, before: str = "", is_end: bool = True) -> Found:
        """Return the blocked words in `text`, and where the text begins that must be held back if it goes on.

        `before` is the character before the text.
        """
        state, starts, spans, open_start = 0, list[int](), list[TextSpan](), len(text)
        for position, character in self._characters(text):
            if not character:
                state = 0
                continue
            starts.append(position)
            while state and character not in self._next[state]:
                state = self._fallbacks[state]
            state = self._next[state].get(character, 0)
            for length in self._lengths[state]:
                start, end = starts[-length], position + 1
                if _is_within_word(text[start - 1] if start else before, text[start]):
                    continue
                if end < len(text) and _is_within_word(text[position], text[end]):
                    continue
                spans.append(TextSpan(start, end, "word"))
                open_start = min(open_start, start) if end == len(text) else open_start
        while state:  # the longest beginning of a blocked word that is not within a word of the text
            start = starts[-self._depths[state]]
            if not _is_within_word(text[start - 1] if start else before, text[start]):
                open_start = min(open_start, start)
                break
            state = self._fallbacks[state]
        return Found(spans, len(text) if is_end else open_start)

    def _characters(self, text: str) -> Iterator[tuple[int, str]]:
        """Yield positions and folded characters: one space for white space, and an empty string where there is too much of it."""
        spaces = 0
        for position, character in enumerate(folded(text)):
            if not character.isspace():
                spaces = 0
                yield position, character
                continue
            spaces += 1
            if spaces == 1:
                yield position, " "
            elif spaces > MAX_SPACES:
                yield position, ""

    def _add(self, word: str) -> None:
        state = 0
        for character in word:
            if character not in self._next[state]:
                self._next[state][character] = len(self._next)
                self._next.append({})
                self._depths.append(self._depths[state] + 1)
                self._fallbacks.append(0)
                self._lengths.append(())
            state = self._next[state][character]
        self._lengths[state] = (len(word),)

    def _link(self) -> None:
        """Set each state's fallback: the state of the longest proper end of its text with which a word begins."""
        states = deque(self._next[0].values())
        while states:
            state = states.popleft()
            for character, child in self._next[state].items():
                fallback = self._fallbacks[state]
                while fallback and character not in self._next[fallback]:
                    fallback = self._fallbacks[fallback]
                self._fallbacks[child] = self._next[fallback].get(character, 0)
                self._lengths[child] += self._lengths[self._fallbacks[child]]
                states.append(child)


def _is_within_word(left: str, right: str) -> bool:
    """Return whether a word continues from one character to the next. In scripts without spaces, every character may begin one."""
    return all(map(_is_letter, (left, right))) and not any(map(_is_spaceless, (left, right)))


def _is_letter(character: str) -> bool:
    return character.isalnum() or character == "_"


def _is_spaceless(character: str) -> bool:
    return any(first <= character <= last for first, last in _SPACELESS)
