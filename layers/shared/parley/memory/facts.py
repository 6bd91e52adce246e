"""Facts: what is already known, and what a newer fact takes the place of. Pure; `parley.db.memories` stores.

A fact that is known in other words is not stored again. One that says something else about the same thing, such as
another town that somebody lives in, supersedes the older, which stays readable with the time of its end.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

# Cosine similarities. Below NEAR two facts are about different things; above SAME they say the same in other words.
NEAR_SIMILARITY, SAME_SIMILARITY = 0.60, 0.97
_WORD = re.compile(r"\w+")
# Who is spoken of: "I live in Paris", "the user lives in Paris" and "Lives in Paris" are one fact.
_SUBJECT = re.compile(r"^(?:the user(?:'s)?|user|i|my|he|she|they|their|his|her)\b\s*(?:am|is|are|'s)?\s*", re.IGNORECASE)
# What people have one of at a time, and how it is said. A new value ends the old one.
_SINGLE_VALUED = {
    "name": r"(?:name is|(?:is |am )?(?:called|named)) ",
    "home": r"(?:(?:now |currently )?(?:live|lives|living|moved|reside|resides|based) (?:in|to|at)|(?:home|city|town|address) is) ",
    "employer": r"(?:(?:now |currently )?(?:work|works|working) (?:at|for)|(?:employer|company) is) ",
    "occupation": r"(?:(?:now |currently )?(?:work|works|working) as|(?:job|occupation|profession) is) ",
    "birthday": r"(?:(?:birthday|date of birth) is|(?:was )?born on) ",
    "age": r"(?:is |am )?\d+ years old",
}
_ATTRIBUTES = {place: re.compile(pattern, re.IGNORECASE) for place, pattern in _SINGLE_VALUED.items()}
# "Favourite colour is", "dog's name is": the place is in the words.
_NAMED_ATTRIBUTE = re.compile(r"(favou?rite [\w ]+?|[\w ]+?'s name) (?:is|are) ", re.IGNORECASE)


class KnownFact(Protocol):
    """A stored fact that still holds. `similarity` is its cosine with the new one's vector, None without vectors."""

    @property
    def id(self) -> UUID:
        """Its id."""
        ...

    @property
    def text(self) -> str:
        """What it says."""
        ...

    @property
    def similarity(self) -> float | None:
        """How near it is."""
        ...


@dataclass(frozen=True, slots=True)
class FactVerdict:
    """What to do with a fact: it is `known` as the fact `known_id`, or new, and then ends the facts `supersedes`."""

    known_id: UUID | None = None
    supersedes: tuple[UUID, ...] = ()


def judge_fact(text: str, known: Sequence[KnownFact]) -> FactVerdict:
    """Compare a new fact with those that hold. By text first: an embedding tells "likes tea" from "hates tea" hardly at all."""
    key = canonical_fact(text)
    for fact in known:
        if canonical_fact(fact.text) == key or _is_same(text, fact):
            return FactVerdict(known_id=fact.id)
    return FactVerdict(supersedes=tuple(fact.id for fact in known if contradicts(text, fact.text)))


def canonical_fact(text: str) -> str:
    """Return a fact without case, accents, punctuation and the one it is about."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(_WORD.findall(_SUBJECT.sub("", plain.strip())))


def contradicts(newer: str, older: str) -> bool:
    """Whether both cannot hold: they fill the same place that a person has one value for, or one denies the other."""
    place = _attribute(newer)
    return (place is not None and place == _attribute(older)) or _denies(newer, older)


def _attribute(text: str) -> str | None:
    """Return what a fact tells the value of, None if there may be many values."""
    said = _SUBJECT.sub("", text.strip())
    if named := _NAMED_ATTRIBUTE.match(said):
        return named[1].casefold().replace("favour", "favor")
    return next((place for place, pattern in _ATTRIBUTES.items() if pattern.match(said)), None)


_NEGATIONS = {"not", "no", "never", "t", "longer", "stopped", "anymore", "any", "more"}
_VERBS = {"likes": "like", "dislikes": "dislike", "prefers": "prefer", "eats": "eat", "drinks": "drink", "loves": "love", "hates": "hate"}
_OPPOSITES = ({"like", "love", "prefer"}, {"dislike", "hate"})


def _denies(newer: str, older: str) -> bool:
    """Whether one says of the same words that it is so, and the other that it is not."""
    new, old = _words(newer), _words(older)
    if new - _NEGATIONS == old - _NEGATIONS and bool(new & _NEGATIONS) != bool(old & _NEGATIONS):
        return True
    liking, disliking = _OPPOSITES
    turned = (new & liking and old & disliking) or (new & disliking and old & liking)
    return bool(turned) and new - liking - disliking == old - liking - disliking


def _words(text: str) -> set[str]:
    return {_VERBS.get(word, word) for word in canonical_fact(text).split()} - {"do", "does", "don", "doesn", "is", "are", "am"}


def _is_same(text: str, fact: KnownFact) -> bool:
    """Whether a fact says the same in other words: as near as can be, and nothing in it that contradicts."""
    if fact.similarity is None or fact.similarity < SAME_SIMILARITY or contradicts(text, fact.text):
        return False
    return not _numbers(text) ^ _numbers(fact.text)


def _numbers(text: str) -> set[str]:
    return set(re.findall(r"\d+", text))
