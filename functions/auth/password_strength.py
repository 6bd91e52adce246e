"""Rejects passwords made of so few common words and patterns that attackers try them early (docs/adr/0005).

A password is guessable if listed words, the user's own words, keyboard walks and sequences cover all of it with a
total weight of at most `MAX_WEIGHT`.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from heapq import nsmallest

COMMON_WEIGHT, LISTED_WEIGHT = 2, 3
# How many words of each list, most frequent first, count as common.
COMMON_WORDS_PER_LIST = 3_000
# Two listed words or three common words; passphrases of four words pass.
MAX_WEIGHT = 6
# Digits outside all words and patterns, such as a year or a number at the end.
MAX_LOOSE_DIGITS = 4
# Symbols count as separators only if the password has at least this many characters for each kind of symbol in it. Otherwise they are
# part of the secret.
CHARACTERS_PER_SEPARATOR_KIND = 4
PRODUCT_WORDS = ("parley",)
# Shorter parts of an address, such as initials, would match far too much.
MIN_PERSONAL_WORD = 3
MIN_RUN = 4
MAX_REPEAT_TAIL = 4
# How many covers are extended at each position, lightest first. This bounds the time and still finds the lightest cover of nearly all
# passwords.
BEAM_WIDTH = 8

# 1 can stand for i and l, and 7 for l and t, so i, l and t are treated as one letter.
_LOOKALIKES = str.maketrans("lt1!|7+4@8([{<369$5%20", "iiiiiiiaabcccceggssxzo")
_YEARS = range(1900, 2100)

# A cover of the characters so far: its weight, its count of loose digits, and its distinct segments.
type Cover = tuple[int, int, frozenset[str]]


def is_guessable(password: str, *, personal: frozenset[str]) -> bool:
    """Whether a few listed words, `personal` words, keyboard walks and sequences cover the whole password.

    Capitals, accents, lookalikes (P@ssw0rd), separators, up to four digits and repeated segments add no weight. The
    work is bounded by the password's length: 256 characters take about 50 ms at most.
    """
    plain = fold_letters(password)
    return any(_is_covered(text, personal) for text in {plain, _without_separators(plain)})


def personal_words(email: str | None) -> frozenset[str]:
    """Return words an attacker would try for this user, with lookalikes replaced: parts of the address, its halves, and "parley"."""
    plain = fold_letters(email or "")
    parts = [*PRODUCT_WORDS, *re.split(r"[\W\d_]+", plain), *re.split(r"[\W_]+", plain)]
    parts += [re.sub(r"[\W_]+", "", half) for half in plain.split("@")]
    return frozenset(undo_lookalikes(part) for part in parts if len(part) >= MIN_PERSONAL_WORD)


def collapse_repeats(password: str) -> str:
    """Return the folded password with a repeated unit reduced to one occurrence.

    The repeated unit must make up the whole password except for a tail of at most four characters. Otherwise the whole folded
    password is returned.
    """
    text = fold_letters(password)
    borders = _borders(text)
    lengths = range(max(len(text) - MAX_REPEAT_TAIL, 0), len(text) + 1)
    repeats = [(length, borders[length]) for length in lengths if 2 * borders[length] >= length]
    return min((text[: length - border] + text[length:] for length, border in repeats), key=len, default=text)


def fold_letters(text: str) -> str:
    """Return `text` in lower case, without accents and compatibility forms. The length stays the same."""
    return "".join(map(_fold_letter, text))


def undo_lookalikes(text: str) -> str:
    """Return folded text with digits and symbols replaced by the letters they resemble. The length stays the same."""
    return text.translate(_LOOKALIKES)


def is_symbol(character: str) -> bool:
    """Whether the character is neither a letter nor a digit in any script, and so may separate words."""
    return not character.isalnum()


def is_lookalike(character: str) -> bool:
    """Whether the character may stand for a letter."""
    return ord(character) in _LOOKALIKES


@cache
def word_weights() -> dict[str, int]:
    """Map each listed word, with lookalikes replaced by letters, to COMMON_WEIGHT or LISTED_WEIGHT.

    The lists are zxcvbn's: leaked passwords, English words from Wikipedia and films, first names and surnames.
    Loading them takes about 0.1 s and 25 MB, so it waits until a user chooses a password instead of slowing every cold start.
    """
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    weights: dict[str, int] = {}
    for words in FREQUENCY_LISTS.values():
        weights |= dict.fromkeys(
            (word for word in _undo_lookalikes_in_all(words[COMMON_WORDS_PER_LIST:]) if word not in weights), LISTED_WEIGHT
        )
        weights |= dict.fromkeys(_undo_lookalikes_in_all(words[:COMMON_WORDS_PER_LIST]), COMMON_WEIGHT)
    return weights | dict.fromkeys((undo_lookalikes(str(year)) for year in _YEARS), COMMON_WEIGHT)


@cache
def longest_word_length() -> int:
    """Return the length of the longest listed word."""
    return max(map(len, word_weights()))


@cache
def keyboard_neighbours() -> dict[str, frozenset[str]]:
    """Map each character of a QWERTY keyboard, shifted or not, to the characters on the adjacent keys."""
    from zxcvbn.adjacency_graphs import ADJACENCY_GRAPHS

    graph = ADJACENCY_GRAPHS["qwerty"]
    return {key: frozenset("".join(adjacent or "" for adjacent in keys)) for key, keys in graph.items()}


def _fold_letter(character: str) -> str:
    letter = unicodedata.normalize("NFKD", character)[0]
    return (letter if letter.isascii() else character).lower()[0]


def _undo_lookalikes_in_all(words: list[str]) -> list[str]:
    return undo_lookalikes("\n".join(words).lower()).split("\n")


def _borders(text: str) -> list[int]:
    """Return, by prefix length, the length of each prefix's longest border: a proper prefix that is also its suffix.

    This is the failure function of Knuth, Morris and Pratt.
    """
    borders = [0] * (len(text) + 1)
    for index in range(1, len(text)):
        length = borders[index]
        while length and text[index] != text[length]:
            length = borders[length]
        borders[index + 1] = length + (text[index] == text[length])
    return borders


def _is_covered(plain: str, personal: frozenset[str]) -> bool:
    """Whether segments of a total weight of at most `MAX_WEIGHT` cover the text.

    Scans from left to right. At each position, the lightest covers of the characters before it are extended.
    """
    text, drops_symbols = undo_lookalikes(plain), _has_separators(plain)
    covers: list[set[Cover]] = [set() for _ in range(len(plain) + 1)]
    covers[0].add((0, 0, frozenset()))
    for start in range(len(plain)):
        segments = list(_known_segments(text, plain, start, personal)) if covers[start] else []
        for weight, loose, known in nsmallest(BEAM_WIDTH, covers[start], key=_cover_order):
            if drops_symbols and is_symbol(plain[start]):
                covers[start + 1].add((weight, loose, known))
            elif plain[start].isdecimal() and loose < MAX_LOOSE_DIGITS:
                covers[start + 1].add((weight, loose + 1, known))
            for end, added_weight in segments:
                new_weight = weight if (segment := text[start:end]) in known else weight + added_weight
                if new_weight <= MAX_WEIGHT:
                    covers[end].add((new_weight, loose, known | {segment}))
    return bool(covers[-1])


def _cover_order(cover: Cover) -> tuple[int, int, list[str]]:
    """Return a sort key without ties. The order of a set differs between processes, but all must judge a password alike."""
    weight, loose, known = cover
    return weight + loose, loose, sorted(known)


def _has_separators(plain: str) -> bool:
    return len(set(filter(_is_separator, plain))) * CHARACTERS_PER_SEPARATOR_KIND <= len(plain)


def _without_separators(plain: str) -> str:
    """Remove separators, so that p-a-s-s-w-o-r-d becomes a word."""
    return "".join(character for character in plain if not _is_separator(character)) if _has_separators(plain) else plain


def _is_separator(character: str) -> bool:
    return is_symbol(character) and not is_lookalike(character)


def _known_segments(text: str, plain: str, start: int, personal: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Yield the end and weight of each known word, walk and sequence that begins at `start`."""
    weights = word_weights()
    for end in range(start + 1, min(len(text), start + longest_word_length()) + 1):
        if (word := text[start:end]) in weights:
            yield end, weights[word]
    yield from ((start + len(word), 0) for word in personal if text.startswith(word, start))
    if (end := _run_end(plain, start)) - start >= MIN_RUN:
        # The last character of a run is often the first of the next word.
        yield from ((end, COMMON_WEIGHT), (end - 1, COMMON_WEIGHT))


def _run_end(plain: str, start: int) -> int:
    """Return the end of the longest sequence (abcd, 4321, aaaa) or keyboard walk (qwert) that begins at `start`."""
    neighbours = keyboard_neighbours()
    walk = sequence = start
    while walk + 1 < len(plain) and plain[walk + 1] in neighbours.get(plain[walk], ()):
        walk += 1
    step = ord(plain[start + 1]) - ord(plain[start]) if start + 1 < len(plain) else 2
    while abs(step) <= 1 and sequence + 1 < len(plain) and ord(plain[sequence + 1]) - ord(plain[sequence]) == step:
        sequence += 1
    return max(walk, sequence) + 1
