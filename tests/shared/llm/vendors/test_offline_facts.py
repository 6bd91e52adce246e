"""The offline model's facts on a labelled set of statements: few and right rather than many."""

import tomllib
from datetime import date
from pathlib import Path

import pytest

from parley.llm.prompts import TranscriptLine
from parley.llm.vendors.offline_facts import extract_facts

SAID = tomllib.loads((Path(__file__).parents[3] / "data" / "facts" / "statements.toml").read_text())["said"]


def facts_of(text, speaker="user"):
    return [fact for _, fact in extract_facts([TranscriptLine(1, speaker, date(2026, 11, 28), text)])]


@pytest.mark.parametrize("said", SAID, ids=lambda said: said["text"][:40])
def test_a_statement_yields_no_wrong_fact(said):
    assert set(facts_of(said["text"])) <= set(said["facts"])


def test_most_of_the_stated_facts_are_found():
    stated = [(said["text"], fact) for said in SAID for fact in said["facts"]]
    found = [fact for text, fact in stated if fact in facts_of(text)]

    assert len(found) / len(stated) >= 0.8, sorted({fact for _, fact in stated} - set(found))


def test_the_set_has_more_statements_without_a_fact_than_with_one():
    assert sum(not said["facts"] for said in SAID) > len(SAID) / 2


def test_the_assistants_words_are_no_facts():
    assert facts_of("I live in Lyon.", speaker="assistant") == []
