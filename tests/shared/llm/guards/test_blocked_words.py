import sys

import pytest

from parley.llm.guards import spans
from parley.llm.guards.spans import ReplacedText, replace_all
from parley.llm.guards.words import MAX_SPACES, WordFinder, folded
from tests.support.regex_growth import is_linear
from tests.support.turns import replaced_pieces

WORDS = ["nightingale", "Project Tern", "cat", "夜莺", "C++", "straße"]


@pytest.fixture(scope="module")
def finder():
    return WordFinder(WORDS)


def masked(finder, text):
    return replace_all(finder, text, lambda _span, _text: "#")


def streamed(finder, *pieces):
    return replaced_pieces(finder, lambda _span, _text: "#", pieces)


@pytest.mark.parametrize("words", [["b c", "c"], ["zoo", "b c", "c"]])
def test_a_word_is_found_although_a_longer_one_that_ends_with_it_is_within_another(words):
    assert masked(WordFinder(words), "ab c") == "ab #"


def test_the_end_of_one_word_and_the_beginning_of_another_are_none():
    assert masked(WordFinder(["cat", "dog x"]), "dog at") == "dog at"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Nightingale sings.", "The # sings."),
        ("NIGHTINGALE", "#"),
        ("nightingales and a nightingale_x", "nightingales and a nightingale_x"),
        ("concatenate the cat, cat", "concatenate the #, #"),
        ("project\n  tern!", "#!"),
        (f"project{' ' * 8}tern", "#"),
        (f"project{' ' * 9}tern", f"project{' ' * 9}tern"),
        (f"project{' ' * 9}cat", f"project{' ' * 9}#"),
        ("我看见夜莺了", "我看见#了"),
        ("\u1000cat\u30ff", "\u1000#\u30ff"),
        ("C++, c++11 and xc++", "#, #11 and xc++"),
        ("ſtraße PROJECT TERN", "# #"),
        ("", ""),
    ],
)
def test_whole_words_are_found_in_any_case_and_spacing(finder, text, expected):
    assert masked(finder, text) == expected


def test_the_longest_of_two_words_that_begin_alike_is_found():
    assert masked(WordFinder(["red", "red alert"]), "a red alert now") == "a # now"


def test_of_words_that_overlap_nothing_is_left():
    assert masked(WordFinder(["red alert", "alert now"]), "a red alert now, or now") == "a ##, or now"


def test_words_that_overlap_are_held_back_together():
    overlapping = WordFinder(["red alert", "alert now", "now or never"])

    assert "".join(streamed(overlapping, *"a red alert now or later")) == "a ## or later"


def test_words_that_overlap_without_end_are_passed_on_before_the_end(monkeypatch):
    monkeypatch.setattr(spans, "MAX_OVERLAPS", 20)
    pieces = streamed(WordFinder(["ha ha"]), *["ha "] * 100)

    assert sum(map(bool, pieces)) > 10
    assert not {"h", "a"} & set("".join(pieces))


@pytest.mark.parametrize("cut", range(1, 27))
def test_a_word_that_is_cut_across_two_pieces_is_found_wherever_it_is_cut(finder, cut):
    text = "so, a nightingale sang here"

    assert "".join(streamed(finder, text[:cut], text[cut:])) == "so, a # sang here"


def test_a_word_that_arrives_letter_by_letter_is_found(finder):
    assert "".join(streamed(finder, *"the project   tern and a concat cat")) == "the # and a concat #"


def test_only_the_beginning_of_a_word_is_held_back(finder):
    assert streamed(finder, "we night", "s", " of ca", "r") == ["we ", "nights", " of ", "car", ""]


def test_a_word_at_the_end_of_a_piece_waits_for_the_next_character(finder):
    assert streamed(finder, "a cat", "alogue", " cat", ".") == ["a ", "catalogue", " ", "#.", ""]


def test_no_more_than_the_longest_word_with_its_spaces_is_held_back(finder):
    stream = ReplacedText(finder, lambda _span, _text: "#")
    released = stream.feed("project" + " " * 10_000)

    assert len(released) >= 10_000 - len("project") * MAX_SPACES


def test_folding_keeps_the_position_of_every_character():
    text = "".join(map(chr, range(sys.maxunicode + 1)))

    assert len(folded(text)) == len(text)


def test_a_search_takes_time_in_proportion_to_the_text():
    finder = WordFinder([f"{'a' * length}b" for length in range(2, 60)])

    assert is_linear(lambda text: masked(finder, text), lambda size: "a" * size)
