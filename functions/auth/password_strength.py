"""Refuses passwords made of so few well-known words and patterns that attackers guess them early (docs/adr/0005)."""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from heapq import nsmallest

COMMON_WEIGHT, LISTED_WEIGHT = 2, 3


# How many words of each list, commonest first, count as common.
COMMON_WORDS_PER_LIST = 3_000


# 1 is drawn for i and for l, 7 for l and for t, so these three become one letter.
_LOOKALIKES = str.maketrans("lt1!|7+4@8([{<369$5%20", "iiiiiiiaabcccceggssxzo")


_YEARS = range(1900, 2100)


def fold_letters(text: str) -> str:
    """Return `text` in lower case, without accents and other forms of a letter. Every character stays one character."""
    return "".join(map(_fold_letter, text))


def undo_lookalikes(text: str) -> str:
    """Return undressed text with the letters that its digits and signs stand for. Every character stays one character."""
    return text.translate(_LOOKALIKES)


def is_symbol(character: str) -> bool:
    """Whether the character can be dropped between words: no letter and no digit of any script."""
    return not character.isalnum()


def is_lookalike(character: str) -> bool:
    """Whether the character may stand for a letter."""
    return ord(character) in _LOOKALIKES


@cache
def word_weights() -> dict[str, int]:
    """Return how much each listed word, unmasked, counts: COMMON or LISTED.

    The lists are zxcvbn's: leaked passwords, English from Wikipedia and from films, first names and surnames.
    They take about 0.1 s and 25 MB, so they are read when a password is first chosen, not with every start.
    """
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    found: dict[str, int] = {}
    for words in FREQUENCY_LISTS.values():
        found |= dict.fromkeys(
            (word for word in _undo_lookalikes_in_all(words[COMMON_WORDS_PER_LIST:]) if word not in found), LISTED_WEIGHT
        )
        found |= dict.fromkeys(_undo_lookalikes_in_all(words[:COMMON_WORDS_PER_LIST]), COMMON_WEIGHT)
    return found | dict.fromkeys((undo_lookalikes(str(year)) for year in _YEARS), COMMON_WEIGHT)


@cache
def longest_word_length() -> int:
    """Return the length of the longest listed word."""
    return max(map(len, word_weights()))


@cache
def keyboard_neighbours() -> dict[str, frozenset[str]]:
    """Return for each key of a QWERTY keyboard, by either of its characters, the characters on the keys beside it."""
    from zxcvbn.adjacency_graphs import ADJACENCY_GRAPHS

    graph = ADJACENCY_GRAPHS["qwerty"]
    return {key: frozenset("".join(beside or "" for beside in keys)) for key, keys in graph.items()}


def _fold_letter(character: str) -> str:
    letter = unicodedata.normalize("NFKD", character)[0]
    return (letter if letter.isascii() else character).lower()[0]


def _undo_lookalikes_in_all(words: list[str]) -> list[str]:
    return undo_lookalikes("\n".join(words).lower()).split("\n")


PRODUCT_WORDS = ("parley",)


# Two listed words or three common ones; passphrases of four words pass.
MAX_WEIGHT = 6


# Digits that belong to no piece, such as a year or a number at the end.
MAX_LOOSE_DIGITS = 4


# With more kinds of signs than one in so many characters, they are part of the secret.
CHARACTERS_PER_SEPARATOR_KIND = 4


# Shorter parts of an address, such as initials, would cover far too much.
MIN_PERSONAL_WORD = 3


MIN_RUN = 4


MAX_REPEAT_TAIL = 4


# Covers that are followed from each place, lightest first: enough to find the lightest of nearly all, and bounded.
BEAM_WIDTH = 8


# A cover of the characters so far: its weight, how many digits are loose, and the different pieces.
type Cover = tuple[int, int, frozenset[str]]


def personal_words(email: str | None) -> frozenset[str]:
    """Return the words that a guesser knows of this person and this product, unmasked: parts of the address, wholes, "parley"."""
    plain = fold_letters(email or "")
    parts = [*PRODUCT_WORDS, *re.split(r"[\W\d_]+", plain), *re.split(r"[\W_]+", plain)]
    parts += [re.sub(r"[\W_]+", "", half) for half in plain.split("@")]
    return frozenset(undo_lookalikes(part) for part in parts if len(part) >= MIN_PERSONAL_WORD)


def is_guessable(password: str, *, own: frozenset[str]) -> bool:
    """Whether a few listed words, words of one's `own`, keyboard walks and sequences cover the whole password.

    Capitals, accents, lookalikes (P@ssw0rd), signs between the pieces and up to four digits do not help; neither does
    a piece's repetition. The work is bounded by the password's length: no 256 characters take longer than about 50 ms.
    """
    plain = fold_letters(password)
    return any(_is_covered(text, own) for text in {plain, _without_separators(plain)})


def collapse_repeats(password: str) -> str:
    """Return the undressed password with its unit once, where it is one unit over and over and at most a short tail; else all of it."""
    text = fold_letters(password)
    borders = _borders(text)
    wholes = range(max(len(text) - MAX_REPEAT_TAIL, 0), len(text) + 1)
    repeats = [(whole, borders[whole]) for whole in wholes if 2 * borders[whole] >= whole]
    return min((text[: whole - border] + text[whole:] for whole, border in repeats), key=len, default=text)


def _borders(text: str) -> list[int]:
    """For each length of a beginning of `text`: how much of it is also its end (Knuth, Morris and Pratt's failure function)."""
    borders = [0] * (len(text) + 1)
    for index in range(1, len(text)):
        length = borders[index]
        while length and text[index] != text[length]:
            length = borders[length]
        borders[index + 1] = length + (text[index] == text[length])
    return borders


def _is_covered(plain: str, own: frozenset[str]) -> bool:
    """Go from left to right, and from each place follow the lightest covers of what lies before it."""
    text, drops_signs = undo_lookalikes(plain), _has_separators(plain)
    covers: list[set[Cover]] = [set() for _ in range(len(plain) + 1)]
    covers[0].add((0, 0, frozenset()))
    for start in range(len(plain)):
        pieces = list(_known_pieces(text, plain, start, own)) if covers[start] else []
        for weight, loose, found in nsmallest(BEAM_WIDTH, covers[start], key=_cover_order):
            if drops_signs and is_symbol(plain[start]):
                covers[start + 1].add((weight, loose, found))
            elif plain[start].isdecimal() and loose < MAX_LOOSE_DIGITS:
                covers[start + 1].add((weight, loose + 1, found))
            for end, more in pieces:
                heavier = weight if (piece := text[start:end]) in found else weight + more
                if heavier <= MAX_WEIGHT:
                    covers[end].add((heavier, loose, found | {piece}))
    return bool(covers[-1])


def _cover_order(cover: Cover) -> tuple[int, int, list[str]]:
    """Order totally: a set's own order differs from process to process, and a password is to be refused by all or none."""
    weight, loose, found = cover
    return weight + loose, loose, sorted(found)


def _has_separators(plain: str) -> bool:
    return len(set(filter(_is_separator, plain))) * CHARACTERS_PER_SEPARATOR_KIND <= len(plain)


def _without_separators(plain: str) -> str:
    """Without separators, for p-a-s-s-w-o-r-d."""
    return "".join(character for character in plain if not _is_separator(character)) if _has_separators(plain) else plain


def _is_separator(character: str) -> bool:
    return is_symbol(character) and not is_lookalike(character)


def _known_pieces(text: str, plain: str, start: int, own: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Yield the ends and weights of the known pieces that begin at `start`."""
    weights = word_weights()
    for end in range(start + 1, min(len(text), start + longest_word_length()) + 1):
        if (word := text[start:end]) in weights:
            yield end, weights[word]
    yield from ((start + len(word), 0) for word in own if text.startswith(word, start))
    if (end := _run_end(plain, start)) - start >= MIN_RUN:
        # The last character of a run is often the first of the next word.
        yield from ((end, COMMON_WEIGHT), (end - 1, COMMON_WEIGHT))


def _run_end(plain: str, start: int) -> int:
    """Return where the longest sequence (abcd, 4321, aaaa) or keyboard walk (qwert) from `start` ends."""
    beside = keyboard_neighbours()
    walk = sequence = start
    while walk + 1 < len(plain) and plain[walk + 1] in beside.get(plain[walk], ()):
        walk += 1
    step = ord(plain[start + 1]) - ord(plain[start]) if start + 1 < len(plain) else 2
    while abs(step) <= 1 and sequence + 1 < len(plain) and ord(plain[sequence + 1]) - ord(plain[sequence]) == step:
        sequence += 1
    return max(walk, sequence) + 1
