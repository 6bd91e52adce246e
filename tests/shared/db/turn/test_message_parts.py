"""The stored parts of an answer, built while it streams or from its event log."""

from parley.db.turn.message_parts import AnswerParts
from parley.db.turn.turn_events import LoggedEvent


def source(number):
    return {"number": number, "chunk_id": f"chunk {number}"}


def numbers(parts):
    return [part["number"] for part in parts if part["type"] == "source"]


def logged(*texts, upto=2):
    sources = [LoggedEvent(number, "source", source(number)) for number in range(1, upto + 1)]
    return AnswerParts.from_events([*sources, LoggedEvent(9, "text.delta", {"texts": list(texts)})])


def test_a_dead_turn_stores_the_sources_that_its_logged_text_cites():
    stored = logged("It is so [", "2], and [3].").stored()

    assert [part["type"] for part in stored] == ["memory", "text", "source"]
    assert stored[-1] == {"type": "source"} | source(2)


def test_sources_alone_are_an_empty_answer():
    parts = AnswerParts()
    parts.add_source(source(1))

    assert (bool(parts), parts.text) == (False, "")
    assert [part["type"] for part in parts.stored()] == ["memory", "text"]


def test_a_text_can_cite_only_preceding_sources():
    parts = AnswerParts()
    parts.add_text("By [1]. ")
    parts.add_tool_call("c", "search_documents", {})
    parts.add_tool_result("c", ok=True, content="found")
    parts.add_source(source(1))
    parts.add_source(source(2))
    parts.add_text("By [2].")

    assert numbers(parts.stored()) == [2]
    assert numbers(parts.all()) == [1, 2]


def test_citations_are_checked_across_a_pause():
    paused = AnswerParts()
    paused.add_source(source(1))
    paused.add_tool_call("c", "write", {})
    resumed = AnswerParts(paused.all())
    resumed.add_text("By [1].")

    assert numbers(resumed.stored()) == [1]


def test_texts_that_nothing_separates_are_one_part():
    parts = AnswerParts([{"type": "text", "text": "By"}])
    parts.add_text(" the")
    before = list(parts.all())
    parts.add_text(" river.")

    assert (before, parts.all()) == ([{"type": "text", "text": "By the"}], [{"type": "text", "text": "By the river."}])
