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


WITH_SIGNS = [
    ("-1", "1"),
    ("C", "C++"),
    ("C#", "C"),
    ("🍕", "🍣"),
    ("I like 🐈", "I like 🐕"),
    ("The temperature is -1", "The temperature is 1"),
    ("I write C", "I write C++"),
    ("I earn 3.5", "I earn 35"),
    ("I earn 100 €", "I earn 100 $"),
    ("I need 50%", "I need 50"),
]
WITHOUT_SIGNS = [
    ("!!!", "???"),
    ("I use .NET", "I use net"),
    ("My island", "My land"),
    ("ばらが好き", "はらが好き"),
    ("मैं की", "मैं का"),
    ("ขา", "ข้า"),
]


@pytest.mark.parametrize(("older", "newer"), WITH_SIGNS + WITHOUT_SIGNS)
def test_facts_that_differ_by_a_sign_or_a_letter_are_different(older, newer):
    verdict = judge_fact(newer, [Fact(older)])

    assert (verdict.known_id, verdict.supersedes) == (None, ())


@pytest.mark.parametrize(("older", "newer"), WITH_SIGNS)
def test_facts_that_differ_by_a_sign_are_different_however_similar(older, newer):
    verdict = judge_fact(newer, [Fact(older, similarity=0.999)])

    assert (verdict.known_id, verdict.supersedes) == (None, ())


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("I like C++.", "i like c++"),
        ("(The user has 2 cats)", "Has 2 cats!"),
        ("I don't eat fish", "I don’t eat fish."),
        ("My name is Zoë", "my name is Zoe"),
        ("A well-known singer", "a well known singer"),
        ("I earn 100 €", "I earn 100 €."),
    ],
)
def test_facts_that_differ_by_case_accents_and_punctuation_are_the_same(older, newer):
    known = Fact(older)

    assert judge_fact(newer, [known]).known_id == known.id


def test_a_negated_fact_about_something_with_a_sign_contradicts_only_its_own():
    c, c_plus_plus = Fact("I like C"), Fact("I like C++")

    assert judge_fact("I don't like C++", [c, c_plus_plus]).supersedes == (c_plus_plus.id,)


def test_a_different_number_is_a_different_fact_however_similar():
    assert judge_fact("The user has 3 cats.", [Fact("The user has 2 cats.", similarity=0.999)]).known_id is None
