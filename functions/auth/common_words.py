"""Words that guessers try first, and the disguises that do not help."""

import unicodedata
from functools import cache

COMMON, LISTED = 2, 3
# How many words of each list, commonest first, count as common.
COMMONEST = 3_000
# 1 is drawn for i and for l, 7 for l and for t, so these three become one letter.
_LOOKALIKES = str.maketrans("lt1!|7+4@8([{<369$5%20", "iiiiiiiaabcccceggssxzo")
_YEARS = range(1900, 2100)


def undressed(text: str) -> str:
    """Return `text` in lower case, without accents and other forms of a letter. Every character stays one character."""
    return "".join(map(_undressed, text))


def unmasked(text: str) -> str:
    """Return undressed text with the letters that its digits and signs stand for. Every character stays one character."""
    return text.translate(_LOOKALIKES)


def is_sign(character: str) -> bool:
    """Whether the character can be dropped between words: no letter and no digit of any script."""
    return not character.isalnum()


def is_lookalike(character: str) -> bool:
    """Whether the character may stand for a letter."""
    return ord(character) in _LOOKALIKES


@cache
def weights() -> dict[str, int]:
    """Return how much each listed word, unmasked, counts: COMMON or LISTED.

    The lists are zxcvbn's: leaked passwords, English from Wikipedia and from films, first names and surnames.
    They take about 0.1 s and 25 MB, so they are read when a password is first chosen, not with every start.
    """
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    found: dict[str, int] = {}
    for words in FREQUENCY_LISTS.values():
        found |= dict.fromkeys((word for word in _unmasked_all(words[COMMONEST:]) if word not in found), LISTED)
        found |= dict.fromkeys(_unmasked_all(words[:COMMONEST]), COMMON)
    return found | dict.fromkeys((unmasked(str(year)) for year in _YEARS), COMMON)


@cache
def longest_word() -> int:
    """Return the length of the longest listed word."""
    return max(map(len, weights()))


@cache
def neighbours() -> dict[str, frozenset[str]]:
    """Return for each key of a QWERTY keyboard, by either of its characters, the characters on the keys beside it."""
    from zxcvbn.adjacency_graphs import ADJACENCY_GRAPHS

    graph = ADJACENCY_GRAPHS["qwerty"]
    return {key: frozenset("".join(beside or "" for beside in keys)) for key, keys in graph.items()}


def _undressed(character: str) -> str:
    letter = unicodedata.normalize("NFKD", character)[0]
    return (letter if letter.isascii() else character).lower()[0]


def _unmasked_all(words: list[str]) -> list[str]:
    return unmasked("\n".join(words).lower()).split("\n")
