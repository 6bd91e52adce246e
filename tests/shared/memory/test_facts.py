"""Comparison of a new fact with known ones: known, new or superseding."""

from dataclasses import dataclass, field
from uuid import UUID

import pytest

from parley.ids import new_id
from parley.memory.facts import SAME_SIMILARITY, judge_fact


@dataclass
class Fact:
    text: str
    similarity: float | None = None
    id: UUID = field(default_factory=new_id)


@pytest.mark.parametrize("text", ["The user lives in Lyon.", "I live in lyon", "Lives in Lyon", "I LIVE IN LYON!"])
def test_a_known_fact_is_recognised_in_any_person_and_spelling(text):
    known = Fact("Lives in Lyon.") if "live" in text and "lives" not in text.casefold() else Fact("lives in lyon")
    verdict = judge_fact(text, [known])

    assert verdict.known_id == known.id or verdict.supersedes == (known.id,)


def test_the_same_words_are_the_same_fact():
    known = Fact("I am allergic to peanuts.")

    assert judge_fact("i am allergic to PEANUTS", [known]).known_id == known.id


def test_a_fact_in_other_words_is_recognised_by_its_vector():
    known = Fact("The user has a peanut allergy.", similarity=SAME_SIMILARITY + 0.01)

    assert judge_fact("The user is allergic to peanuts.", [known]).known_id == known.id


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("The user lives in Paris.", "The user lives in Lyon."),
        ("I live in Paris", "I moved to Lyon"),
        ("My name is Ann", "My name is Anna"),
        ("I work at Acme", "I now work for Initech"),
        ("My favourite colour is red", "My favorite colour is blue"),
        ("The user's dog's name is Rex", "The user's dog's name is Max"),
        ("I like tea", "I don't like tea"),
        ("I like tea", "I hate tea"),
        ("I am 30 years old", "I am 31 years old"),
    ],
)
def test_a_newer_fact_supersedes_the_facts_it_contradicts(older, newer):
    known = Fact(older, similarity=0.99)

    assert judge_fact(newer, [known]).supersedes == (known.id,)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("I live in Paris", "I work at Acme"),
        ("I am allergic to nuts", "I am allergic to fish"),
        ("I like tea", "I like coffee"),
        ("My favourite colour is red", "My favourite food is rice"),
        ("I work at Acme", "I work as a nurse"),
        ("I like tea", "I hate coffee"),
    ],
)
def test_facts_that_can_both_be_true_stay(older, newer):
    verdict = judge_fact(newer, [Fact(older, similarity=0.9)])

    assert (verdict.known_id, verdict.supersedes) == (None, ())


def test_a_different_number_is_a_different_fact_however_similar():
    assert judge_fact("The user has 3 cats.", [Fact("The user has 2 cats.", similarity=0.999)]).known_id is None
