"""Comparison of a new fact about a user with the known ones. Pure; `parley.db.memories` stores facts.

A fact that repeats a known one in other words is not stored again. A fact that contradicts a known one, such as another home town,
supersedes it; the older fact stays readable with the time at which it ended.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

# Cosine similarities. Below NEAR two facts are about different things; above SAME they say the same thing in other words.
NEAR_SIMILARITY, SAME_SIMILARITY = 0.60, 0.97
# Punctuation of sentences, at the edges of a token. Signs that change the meaning stay: "C++", "-1", ".NET", emoji.
_OPENING, _CLOSING = "\"'“”‘«([{¿¡", "\"'”’»)]}.,;:!?…。、，！？"
_LATIN_WITH_MARKS = re.compile(r"([a-z])[\u0300-\u036f]+")
_HYPHEN = re.compile(r"(?<=[^\W\d_])[-\u2010\u2011](?=[^\W\d_])")
# The subject is ignored: "I live in Paris", "the user lives in Paris" and "Lives in Paris" are the same fact.
_SUBJECT = re.compile(r"^(?:the user(?:'s)?|user|i|my|he|she|they|their|his|her)\b\s*(?:(?:am|is|are)\b|'s)?\s*", re.IGNORECASE)
# Attributes with one value at a time, and the phrases that state them. A new value supersedes the old one.
_SINGLE_VALUED = {
    "name": r"(?:name is|(?:is |am )?(?:called|named)) ",
    "home": r"(?:(?:now |currently )?(?:live|lives|living|moved|reside|resides|based) (?:in|to|at)|(?:home|city|town|address) is) ",
    "employer": r"(?:(?:now |currently )?(?:work|works|working) (?:at|for)|(?:employer|company) is) ",
    "occupation": r"(?:(?:now |currently )?(?:work|works|working) as|(?:job|occupation|profession) is) ",
    "birthday": r"(?:(?:birthday|date of birth) is|(?:was )?born on) ",
    "age": r"(?:is |am )?(?<!\d)\d+ years old",
}
_ATTRIBUTES = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _SINGLE_VALUED.items()}
# "Favourite colour is", "dog's name is": the text itself names the attribute.
_NAMED_ATTRIBUTE = re.compile(r"(favou?rite [\w ]+?|[\w ]+?'s name) (?:is|are) ", re.IGNORECASE)
_NEGATIONS = {"not", "no", "never", "t", "longer", "stopped", "anymore", "any", "more"}
_VERBS = {"likes": "like", "dislikes": "dislike", "prefers": "prefer", "eats": "eat", "drinks": "drink", "loves": "love", "hates": "hate"}
_OPPOSITES = ({"like", "love", "prefer"}, {"dislike", "hate"})


class KnownFact(Protocol):
    """A stored fact that is still valid. `similarity` is the cosine similarity to the new fact's vector, None without vectors."""

    @property
    def id(self) -> UUID: ...
    @property
    def text(self) -> str: ...
    @property
    def similarity(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class FactVerdict:
    """The verdict on a new fact: the id of the known fact that it repeats, or else the ids of the known facts that it supersedes."""

    known_id: UUID | None = None
    supersedes: tuple[UUID, ...] = ()


def judge_fact(text: str, known: Sequence[KnownFact]) -> FactVerdict:
    """Compare a new fact with the known ones. Words are compared too: embeddings barely distinguish "likes tea" from "hates tea"."""
    key = canonical_fact(text)
    for fact in known:
        if canonical_fact(fact.text) == key or _is_same(text, fact):
            return FactVerdict(known_id=fact.id)
    return FactVerdict(supersedes=tuple(fact.id for fact in known if contradicts(text, fact.text)))


def canonical_fact(text: str) -> str:
    """Return a fact with its case, accents of Latin letters, sentence punctuation and subject removed.

    Everything else can distinguish facts and is kept: symbols, signs of numbers, emoji, and marks of other scripts, such as vowels.
    """
    plain = unicodedata.normalize("NFD", text.casefold().replace("’", "'"))
    plain = _HYPHEN.sub(" ", _LATIN_WITH_MARKS.sub(r"\1", plain)).strip()
    tokens = (token.lstrip(_OPENING).rstrip(_CLOSING) for token in _SUBJECT.sub("", plain.lstrip(_OPENING)).split())
    return " ".join(filter(None, tokens)) or plain


def contradicts(newer: str, older: str) -> bool:
    """Return whether the facts exclude each other: they state the same single-valued attribute, or one negates the other."""
    attribute = _attribute(newer)
    return (attribute is not None and attribute == _attribute(older)) or _negates(newer, older)


def _attribute(text: str) -> str | None:
    """Return the single-valued attribute that a fact states, or None."""
    predicate = _SUBJECT.sub("", text.strip())
    if named := _NAMED_ATTRIBUTE.match(predicate):
        return named[1].casefold().replace("favour", "favor")
    return next((name for name, pattern in _ATTRIBUTES.items() if pattern.match(predicate)), None)


def _negates(newer: str, older: str) -> bool:
    """Return whether the facts differ only by a negation or by opposite verbs of liking."""
    new, old = _words(newer), _words(older)
    if new - _NEGATIONS == old - _NEGATIONS and bool(new & _NEGATIONS) != bool(old & _NEGATIONS):
        return True
    liking, disliking = _OPPOSITES
    is_reversed = (new & liking and old & disliking) or (new & disliking and old & liking)
    return bool(is_reversed) and new - liking - disliking == old - liking - disliking


def _words(text: str) -> set[str]:
    return {_VERBS.get(word, word) for word in canonical_fact(text).replace("'", " ").split()} - {
        "do",
        "does",
        "don",
        "doesn",
        "is",
        "are",
        "am",
    }


def _is_same(text: str, fact: KnownFact) -> bool:
    """Return whether a known fact says the same thing in other words: nearly equal vectors, no contradiction, and equal exact tokens."""
    if fact.similarity is None or fact.similarity < SAME_SIMILARITY or contradicts(text, fact.text):
        return False
    return _exact_tokens(text) == _exact_tokens(fact.text)


def _exact_tokens(text: str) -> set[str]:
    """Return the tokens that cannot be reworded: numbers, and names with signs such as "C++". Embeddings hardly distinguish them."""
    return {token for token in canonical_fact(text).split() if any(_is_exact(character) for character in token)}


def _is_exact(character: str) -> bool:
    return character in "#&@%*/" or unicodedata.category(character)[0] in "NS"
