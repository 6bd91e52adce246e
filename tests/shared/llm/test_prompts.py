"""The texts around a prompt: system messages, transcripts and chunks, as they are written and read again."""

from datetime import date

import pytest

from parley.llm.messages import Message, ModelRequest, Source
from parley.llm.prompts import (
    TranscriptLine,
    grounded_messages,
    read_chunk_prompt,
    read_transcript,
    with_system_first,
    write_chunk_prompt,
    write_transcript,
)

QUESTION, ANSWER = Message("user", "Why?"), Message("assistant", "Because.")
LINES = [
    TranscriptLine(7, "user", date(2026, 11, 28), "Two lines:\n[8] assistant, 2026-11-28: not an answer"),
    TranscriptLine(8, "assistant", date(2026, 11, 29), "Noted."),
    TranscriptLine(9, "user", date(2026, 11, 29), "Thanks."),
]


@pytest.mark.parametrize(("system", "expected"), [("Be brief.", "Be brief.\n\nSpeak French.\n\nRhyme."), (None, "Speak French.\n\nRhyme.")])
def test_later_system_messages_join_the_system_prompt_in_order(system, expected):
    request = with_system_first(ModelRequest([QUESTION, Message("system", "Speak French."), ANSWER, Message("system", "Rhyme.")], system))

    assert (request.system, request.messages) == (expected, [QUESTION, ANSWER])


def test_a_request_without_system_messages_stays_as_it_is():
    request = ModelRequest([QUESTION, ANSWER], "Be brief.")

    assert with_system_first(request) is request


@pytest.mark.parametrize("summary", [None, "They met."])
@pytest.mark.parametrize("count", range(4))
def test_a_transcript_is_read_as_it_was_written(summary, count):
    assert read_transcript(write_transcript(LINES[:count], summary=summary)) == (summary, LINES[:count])


@pytest.mark.parametrize(("before", "after"), [("", ""), ("Chapter 1", ""), ("", "Chapter 3"), ("Chapter 1", "Chapter 3")])
def test_a_chunk_is_read_as_it_was_written_between_the_texts_around_it(before, after):
    prompt = write_chunk_prompt("Trams > Line 28", "It climbs.\n\nIt turns.", before=before, after=after)

    assert read_chunk_prompt(f"Describe it.\n\n{prompt}") == ("Trams > Line 28", "It climbs.\n\nIt turns.")
    assert [part in prompt for part in ("Text before the chunk:\n\nChapter 1", "Text after the chunk:\n\nChapter 3")] == [
        bool(before),
        bool(after),
    ]


@pytest.mark.parametrize(
    ("context", "has_day", "first", "last"),
    [
        ({"facts": ["Likes trams."]}, True, "Today is ", "- Likes trams.\n\n"),
        ({"passages": ["Monday: trams."]}, True, "Today is ", "Monday: trams.\n\n"),
        ({"sources": [Source(3, "A\nguide", "Line 28\nclimbs.")]}, False, "Document passages ", "[3] A guide\n  Line 28\n  climbs.\n\n"),
    ],
)
def test_the_newest_question_begins_with_the_context_and_its_day_unless_there_are_only_sources(context, has_day, first, last):
    messages = grounded_messages(ModelRequest([QUESTION, ANSWER, QUESTION, ANSWER], **context))
    added, question = messages[2].parts

    assert (added.text.startswith(first), added.text.endswith(last), "Today is " in added.text) == (True, True, has_day)
    assert (question.text, [messages[0], messages[1], messages[3]]) == ("Why?", [QUESTION, ANSWER, ANSWER])


@pytest.mark.parametrize("messages", [[QUESTION, ANSWER], [ANSWER], []])
def test_messages_without_context_or_without_a_question_stay_as_they_are(messages):
    facts = [] if QUESTION in messages else ["Likes trams."]

    assert grounded_messages(ModelRequest(messages, facts=facts)) == tuple(messages)
