"""The blocklist: passwords made of so few well-known pieces that guessers reach them early."""

import re
from collections.abc import Iterator
from heapq import nsmallest

from functions.auth import common_words
from functions.auth.common_words import COMMON

PRODUCT_WORDS = ("parley",)
# Two listed words or three common ones; passphrases of four words pass.
MAX_WEIGHT = 6
# Digits that belong to no piece, such as a year or a number at the end.
MAX_LOOSE_DIGITS = 4
# With more kinds of signs than one in so many characters, they are part of the secret.
CHARACTERS_PER_SEPARATOR = 4
# Shorter parts of an address, such as initials, would cover far too much.
MIN_OWN_WORD = 3
MIN_RUN = 4
MAX_TAIL = 4

# Covers that are followed from each place, lightest first: enough to find the lightest of nearly all, and bounded.
BREADTH = 8

# A cover of the characters so far: its weight, how many digits are loose, and the different pieces.
type Cover = tuple[int, int, frozenset[str]]


def own_words(email: str | None) -> frozenset[str]:
    """Return the words that a guesser knows of this person and this product, unmasked: parts of the address, wholes, "parley"."""
    plain = common_words.undressed(email or "")
    parts = [*PRODUCT_WORDS, *re.split(r"[\W\d_]+", plain), *re.split(r"[\W_]+", plain)]
    parts += [re.sub(r"[\W_]+", "", half) for half in plain.split("@")]
    return frozenset(common_words.unmasked(part) for part in parts if len(part) >= MIN_OWN_WORD)


def is_guessable(password: str, *, own: frozenset[str]) -> bool:
    """Whether a few listed words, words of one's `own`, keyboard walks and sequences cover the whole password.

    Capitals, accents, lookalikes (P@ssw0rd), signs between the pieces and up to four digits do not help; neither does
    a piece's repetition. The work is bounded by the password's length: no 256 characters take longer than about 50 ms.
    """
    plain = common_words.undressed(password)
    return any(_is_covered(text, own) for text in {plain, _joined(plain)})


def without_repeats(password: str) -> str:
    """Return the undressed password with its unit once, where it is one unit over and over and at most a short tail; else all of it."""
    text = common_words.undressed(password)
    borders = _borders(text)
    wholes = range(max(len(text) - MAX_TAIL, 0), len(text) + 1)
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
    text, drops_signs = common_words.unmasked(plain), _has_separators(plain)
    covers: list[set[Cover]] = [set() for _ in range(len(plain) + 1)]
    covers[0].add((0, 0, frozenset()))
    for start in range(len(plain)):
        pieces = list(_pieces(text, plain, start, own)) if covers[start] else []
        for weight, loose, found in nsmallest(BREADTH, covers[start], key=_order):
            if drops_signs and common_words.is_sign(plain[start]):
                covers[start + 1].add((weight, loose, found))
            elif plain[start].isdecimal() and loose < MAX_LOOSE_DIGITS:
                covers[start + 1].add((weight, loose + 1, found))
            for end, more in pieces:
                heavier = weight if (piece := text[start:end]) in found else weight + more
                if heavier <= MAX_WEIGHT:
                    covers[end].add((heavier, loose, found | {piece}))
    return bool(covers[-1])


def _order(cover: Cover) -> tuple[int, int, list[str]]:
    """Order totally: a set's own order differs from process to process, and a password is to be refused by all or none."""
    weight, loose, found = cover
    return weight + loose, loose, sorted(found)


def _has_separators(plain: str) -> bool:
    return len(set(filter(_separates, plain))) * CHARACTERS_PER_SEPARATOR <= len(plain)


def _joined(plain: str) -> str:
    """Without separators, for p-a-s-s-w-o-r-d."""
    return "".join(character for character in plain if not _separates(character)) if _has_separators(plain) else plain


def _separates(character: str) -> bool:
    return common_words.is_sign(character) and not common_words.is_lookalike(character)


def _pieces(text: str, plain: str, start: int, own: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Yield the ends and weights of the known pieces that begin at `start`."""
    weights = common_words.weights()
    for end in range(start + 1, min(len(text), start + common_words.longest_word()) + 1):
        if (word := text[start:end]) in weights:
            yield end, weights[word]
    yield from ((start + len(word), 0) for word in own if text.startswith(word, start))
    if (end := _run_end(plain, start)) - start >= MIN_RUN:
        # The last character of a run is often the first of the next word.
        yield from ((end, COMMON), (end - 1, COMMON))


def _run_end(plain: str, start: int) -> int:
    """Return where the longest sequence (abcd, 4321, aaaa) or keyboard walk (qwert) from `start` ends."""
    beside = common_words.neighbours()
    walk = sequence = start
    while walk + 1 < len(plain) and plain[walk + 1] in beside.get(plain[walk], ()):
        walk += 1
    step = ord(plain[start + 1]) - ord(plain[start]) if start + 1 < len(plain) else 2
    while abs(step) <= 1 and sequence + 1 < len(plain) and ord(plain[sequence + 1]) - ord(plain[sequence]) == step:
        sequence += 1
    return max(walk, sequence) + 1
