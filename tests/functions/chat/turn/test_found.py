"""Retrieval: which of the found chunks, facts and passages the model is given, and in which order."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from functions.chat.turn.events import SourceGiven, WebSourceGiven
from functions.chat.turn.retrieval import (
    CITE_INSTRUCTION,
    format_sources,
    number_sources,
    number_tool_results,
    prompt_memory,
    prompt_source,
    relevant_chunks,
    select_memories,
)
from parley.db.chunks import FoundChunk
from parley.db.search import FoundFact, FoundPassage, RecallResult
from parley.llm.prompts import quoted_source
from parley.llm.tokens import estimate_tokens
from parley.tools.outcome import FoundPage

DAY = datetime(2026, 11, 2, 9, tzinfo=UTC)


def chunk(body, **fields):
    defaults = {
        "document_id": uuid4(),
        "number": 0,
        "title": "Handbook",
        "heading": "Handbook > Safe",
        "page": None,
        "start": 0,
        "score": 1.0,
    }
    return FoundChunk(id=uuid4(), body=body, **defaults | {"similarity": None, "bm25": 1.0} | fields)


def fact(text):
    return FoundFact(uuid4(), text, DAY, 1.0, None, None)


def passage(text, **fields):
    defaults = {"title": None, "first_seq": 1, "last_seq": 2, "said_at": DAY, "score": 1.0, "similarity": None, "bm25": 1.0}
    return FoundPassage(id=uuid4(), conversation_id=uuid4(), text=text, **defaults | fields)


def bodies(chosen):
    return [found.body for _, found in chosen]


def tokens_of(*chunks):
    return sum(estimate_tokens(quoted_source(prompt_source(number, each))) for number, each in enumerate(chunks, 1))


# Sources


@pytest.mark.parametrize(("spare", "chosen"), [(0, ["one", "two"]), (-1, ["one"])])
def test_sources_fill_their_budget_to_the_last_token(spare, chosen):
    found = [chunk("one"), chunk("two")]

    assert bodies(number_sources(found, budget_tokens=tokens_of(*found) + spare)) == chosen


def test_a_chunk_that_is_too_long_makes_room_for_the_next():
    found = [chunk("one"), chunk("long " * 500), chunk("two")]
    chosen = number_sources(found, budget_tokens=100)

    assert [(source.number, each.body) for source, each in chosen] == [(1, "one"), (2, "two")]


def test_an_answer_has_at_most_eight_sources_and_none_twice():
    found = [chunk(f"text {number // 2}") for number in range(40)]

    assert bodies(number_sources(found, budget_tokens=9_000)) == [f"text {number}" for number in range(8)]


@pytest.mark.parametrize(("page", "title"), [(3, "Handbook > Safe, page 3"), (None, "Handbook > Safe")])
def test_a_source_names_its_headings_and_its_page(page, title):
    assert prompt_source(1, chunk("4711", page=page)).title == title


@pytest.mark.parametrize(
    ("match", "is_close"),
    [
        ({"bm25": 0.0}, True),
        ({"bm25": None, "similarity": 0.25}, True),
        ({"bm25": None, "similarity": 0.249}, False),
        ({"bm25": None, "similarity": None}, False),
    ],
)
def test_a_chunk_is_given_if_it_has_a_word_of_the_question_or_a_similar_meaning(match, is_close):
    far = chunk("4711", **match)

    assert relevant_chunks([far], is_named=False) == ([far] if is_close else [])
    assert relevant_chunks([far], is_named=True) == [far]


def test_what_a_tool_finds_is_numbered_after_the_sources_before_it_and_keeps_a_number_it_has():
    known, new, page = chunk("known"), chunk("new"), FoundPage("https://a.example", "A", "text")
    sources = [{"number": 1, "chunk_id": str(known.id)}, {"number": 2, "chunk_id": "gone"}]
    results = number_tool_results(sources, [new, known, page, new, page], query="text")

    assert [(result.numbered_source.number, result.is_new) for result in results] == [
        (3, True),
        (1, False),
        (4, True),
        (3, False),
        (4, False),
    ]
    assert [type(result.source_event) for result in results[1:3]] == [SourceGiven, WebSourceGiven]


def test_a_web_page_that_is_a_source_keeps_its_number():
    (result,) = number_tool_results([{"number": 5, "url": "https://a.example"}], [FoundPage("https://a.example", "A", "text")], query="")

    assert (result.numbered_source.number, result.is_new) == (5, False)
    assert format_sources([result]) == f"{CITE_INSTRUCTION}\n\n[5] A, https://a.example\n  text"


# Memory


def recalled(facts, passages, *, budget_tokens=1_000):
    found = select_memories(RecallResult(facts, passages), budget_tokens=budget_tokens)
    return [each.text for each in found.facts], [each.text for each in found.passages]


def memory_size(*memories):
    return sum(estimate_tokens(prompt_memory(each)) for each in memories)


@pytest.mark.parametrize(
    ("spare", "chosen"), [(0, (["nuts"], ["Friday"])), (-1, (["nuts"], [])), (-1000, ([], []))], ids=["both", "the fact", "none"]
)
def test_facts_and_then_passages_fill_their_budget_to_the_last_token(spare, chosen):
    known, said = fact("nuts"), passage("Friday")

    assert recalled([known], [said], budget_tokens=memory_size(known, said) + spare) == chosen


def test_a_memory_that_is_too_long_makes_room_for_the_next():
    assert recalled([fact("long " * 500), fact("nuts")], [], budget_tokens=50) == (["nuts"], [])


@pytest.mark.parametrize(("score", "is_given"), [(0.5, True), (0.499, False)])
def test_a_passage_needs_half_of_the_best_score(score, is_given):
    _, texts = recalled([], [passage("best"), passage("other", score=score)])

    assert ("other" in texts) is is_given


@pytest.mark.parametrize(("similarity", "is_given"), [(0.35, True), (0.349, False), (None, False)])
def test_a_passage_without_a_word_of_the_question_must_be_similar(similarity, is_given):
    _, texts = recalled([], [passage("other", bm25=None, similarity=similarity)])

    assert bool(texts) is is_given


def test_the_best_score_is_that_of_all_passages_found():
    assert recalled([], [passage("far", bm25=None, score=9.0), passage("near", score=4.0)]) == ([], [])


def test_what_was_said_twice_is_recalled_once():
    assert recalled([], [passage("Friday"), passage("Friday")]) == ([], ["Friday"])


def test_the_model_is_told_the_day_of_a_memory_in_words():
    assert prompt_memory(fact("nuts")) == "nuts (2026-11-02, Monday, 2 November 2026)"
    assert prompt_memory(passage("2026-11-02\nUser: Friday")) == "2026-11-02, Monday, 2 November 2026\nUser: Friday"
