"""What is stored of an answer, made of what came or of what was logged."""

from parley.db.turn.message_parts import AnswerParts
from parley.db.turn.turn_events import LoggedEvent


def source(number):
    return {"number": number, "chunk_id": f"chunk {number}"}


def numbers(parts):
    return [part["number"] for part in parts if part["type"] == "source"]


def logged(*texts, upto=2):
    sources = [LoggedEvent(number, "source", source(number)) for number in range(1, upto + 1)]
    return AnswerParts.from_events([*sources, LoggedEvent(9, "text.delta", {"texts": list(texts)})])


def test_of_a_dead_turn_the_sources_are_stored_that_its_logged_text_cites():
    stored = logged("It is so [", "2], and [3].").stored()

    assert [part["type"] for part in stored] == ["memory", "text", "source"]
    assert stored[-1] == {"type": "source"} | source(2)


def test_sources_alone_are_no_answer():
    parts = AnswerParts()
    parts.add_source(source(1))

    assert (bool(parts), parts.text) == (False, "")
    assert [part["type"] for part in parts.stored()] == ["memory", "text"]


def test_a_text_cites_what_was_given_before_it():
    parts = AnswerParts()
    parts.add_text("By [1]. ")
    parts.add_tool_call("c", "search_documents", {})
    parts.add_tool_result("c", ok=True, content="found")
    parts.add_source(source(1))
    parts.add_source(source(2))
    parts.add_text("By [2].")

    assert numbers(parts.stored()) == [2]
    assert numbers(parts.all()) == [1, 2]


def test_parts_that_were_kept_in_a_pause_are_checked_with_what_came_since():
    paused = AnswerParts()
    paused.add_source(source(1))
    paused.add_tool_call("c", "write", {})
    gone_on = AnswerParts(paused.all())
    gone_on.add_text("By [1].")

    assert numbers(gone_on.stored()) == [1]
