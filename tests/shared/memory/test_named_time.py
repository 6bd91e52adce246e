"""The time that a question names."""

import time
from datetime import date

import pytest

from parley.clock import date_in_words
from parley.memory.named_time import named_period

SATURDAY = date(2026, 11, 28)


@pytest.mark.parametrize(
    ("question", "first", "last"),
    [
        ("What did I say about the boat last week?", "2026-11-16", "2026-11-22"),
        ("yesterday's plan", "2026-11-27", "2026-11-27"),
        ("what was it the day before yesterday", "2026-11-26", "2026-11-26"),
        ("two days ago", "2026-11-26", "2026-11-26"),
        ("a couple of  days\nago", "2026-11-26", "2026-11-26"),
        ("3 weeks ago", "2026-11-04", "2026-11-10"),
        ("eleven months ago", "2025-12-01", "2025-12-31"),
        ("a year ago", "2025-01-01", "2025-12-31"),
        ("in the last few days", "2026-11-25", "2026-11-28"),
        ("during the past week", "2026-11-21", "2026-11-28"),
        ("what did we discuss this week", "2026-11-23", "2026-11-29"),
        ("What did I say on Monday?", "2026-11-23", "2026-11-23"),
        ("what did I say on Saturday?", "2026-11-21", "2026-11-21"),
        ("last Thursday", "2026-11-26", "2026-11-26"),
        ("What did I tell you in May?", "2026-05-01", "2026-05-31"),
        ("What did I tell you in December?", "2025-12-01", "2025-12-31"),
        ("what was decided in May 2023", "2023-05-01", "2023-05-31"),
        ("I said so on 8 May", "2026-05-08", "2026-05-08"),
        ("I said so on May 8th, 2023", "2023-05-08", "2023-05-08"),
        ("the notes of 2023-05-08", "2023-05-08", "2023-05-08"),
        ("what did I do in 2024", "2024-01-01", "2024-12-31"),
    ],
)
def test_a_question_names_a_time(question, first, last):
    period = named_period(question, today=SATURDAY)

    assert period
    assert (str(period.first), str(period.last)) == (first, last)


@pytest.mark.parametrize(
    "question",
    [
        "What shall I cook?",
        "What may 8 people eat?",
        "What shall I bring on Monday?",
        "What is the plan for this week?",
        "Is it open in May?",
        "it was on 31 February",
        "what was agreed for 2027-01-01",
        "how long did it last?",
        "0000-00-00",
        "",
    ],
)
def test_a_plain_question_names_no_time(question):
    assert named_period(question, today=SATURDAY) is None


@pytest.mark.parametrize(
    "part", ["a couple of ", "1 ", "last few ", "past ", "8 of ", "the day before ", "january ", "0", "2023-05-0", " "]
)
def test_the_time_is_linear_in_the_length(part):
    def seconds(length):
        began = time.process_time()
        named_period("did " + part * (length // len(part)), today=SATURDAY)
        return time.process_time() - began

    assert seconds(160_000) < 40 * seconds(20_000) + 0.05


def test_a_date_is_written_as_a_number_and_in_words():
    assert date_in_words(date(2023, 5, 8)) == "2023-05-08, Monday, 8 May 2023"
