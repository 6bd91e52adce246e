"""Spans of a text: which of them are replaced, and where a stream may be cut."""

from parley.llm.guards import spans
from parley.llm.guards.spans import TextSpan, distinct_spans
from parley.llm.guards.words import WordFinder
from tests.support.turns import replaced_pieces


def streamed(words, *pieces):
    return "".join(replaced_pieces(WordFinder(words), lambda _span, _text: "#", pieces))


def test_a_span_that_is_only_reported_may_touch_those_that_are_masked():
    touching = [TextSpan(0, 3, "name", "mask"), TextSpan(3, 6, "town", "report"), TextSpan(6, 9, "name", "mask")]

    assert distinct_spans(touching) == touching


def test_a_blocked_word_within_a_word_that_arrived_letter_by_letter_is_not_found():
    assert streamed(["cat"], "the b", "c", "at, cat") == "the bcat, #"


def test_words_that_overlap_are_held_back_wherever_the_piece_has_them(monkeypatch):
    monkeypatch.setattr(spans, "MAX_OVERLAPS", 20)

    assert streamed(["red alert", "alert now", "now or never"], "x" * 30 + " red alert now or", " later") == "x" * 30 + " ## or later"


def test_beyond_the_limit_only_the_word_that_may_go_on_is_held_back(monkeypatch):
    monkeypatch.setattr(spans, "MAX_OVERLAPS", 3)

    assert streamed(["子甲", "甲乙丙", "丙丁", "丁戊己"], "子甲乙丙丁戊", "己") == "###"
