"""Splitting of conversations into passages."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from parley.memory.passages import PASSAGE_CHARACTERS, Utterance, split_into_passages

MONDAY = datetime(2026, 11, 2, 9, tzinfo=UTC)


@dataclass
class Line:
    seq: int
    text: str
    role: str = "user"
    created_at: datetime = MONDAY

    @property
    def utterances(self):
        return [Utterance(self.role, self.text)]


@dataclass
class SteeredAnswer(Line):
    """An answer during which the user speaks."""

    said: str = "In euros"

    @property
    def utterances(self):
        return [Utterance("user", self.said), Utterance("assistant", self.text)]


def test_a_passage_begins_with_its_day_and_names_the_speakers():
    pieces = split_into_passages([Line(1, "Where is it?"), Line(2, "In Lyon.", "assistant")])

    assert [(one.first_seq, one.last_seq, one.text) for one in pieces] == [(1, 2, "2026-11-02\nUser: Where is it?\nAssistant: In Lyon.")]


def test_a_passage_has_messages_of_one_turn_only():
    lines = [Line(1, "no answer"), Line(2, "question"), Line(3, "answer", "assistant"), Line(4, "question"), Line(5, "answer", "assistant")]

    assert [(one.first_seq, one.last_seq) for one in split_into_passages(lines)] == [(1, 1), (2, 3), (4, 5)]


def test_messages_with_a_gap_between_them_share_no_passage():
    lines = [Line(1, "question"), Line(4, "answer to something else", "assistant")]

    assert [(one.first_seq, one.last_seq) for one in split_into_passages(lines)] == [(1, 1), (4, 4)]


def test_a_long_message_is_split_at_paragraphs_into_its_own_passages():
    paragraphs = [f"{'word ' * 120}end{number}." for number in range(3)]
    pieces = split_into_passages([Line(1, "before"), Line(2, "\n\n".join(paragraphs)), Line(3, "after")])

    assert [(one.first_seq, one.last_seq) for one in pieces] == [(1, 1), (2, 2), (2, 2), (2, 2), (3, 3)]
    assert [one.text.endswith(f"end{number}.") for number, one in enumerate(pieces[1:4])] == [True] * 3


def test_no_passage_is_longer_than_small_models_read_even_without_spaces():
    pieces = split_into_passages([Line(1, "".join(f"{number:04}x" for number in range(1000)))])

    assert max(len(one.text) for one in pieces) <= PASSAGE_CHARACTERS + len("2026-11-02\nUser: ")
    assert sum(one.text.count("x") for one in pieces) == 1000


def test_a_part_that_repeats_an_earlier_one_is_no_passage_of_its_own():
    repeated, other = "word " * 160, "another " * 100
    pieces = split_into_passages([Line(1, repeated * 3 + other * 2), Line(2, "answer", "assistant")])

    assert [one.text.partition(": ")[2] for one in pieces] == [repeated.strip(), other.strip(), "answer"]


def test_a_new_day_begins_a_new_passage():
    pieces = split_into_passages([Line(1, "good night"), Line(2, "good morning", "assistant", created_at=MONDAY + timedelta(days=1))])

    assert [one.text[:10] for one in pieces] == ["2026-11-02", "2026-11-03"]


def test_the_passages_of_a_turn_depend_on_no_other_turn():
    lines = [Line(number, f"message {number}", "user" if number % 2 else "assistant") for number in range(1, 9)]

    assert split_into_passages(lines) == split_into_passages(lines[:4]) + split_into_passages(lines[4:])


def test_a_message_without_text_is_omitted():
    assert [one.text for one in split_into_passages([Line(1, "  "), Line(2, "there")])] == ["2026-11-02\nUser: there"]


def test_words_of_the_user_within_an_answer_are_in_the_passage_of_its_turn():
    (piece,) = split_into_passages([Line(1, "The price?"), SteeredAnswer(2, "42 EUR.", "assistant")])

    assert (piece.first_seq, piece.last_seq) == (1, 2)
    assert piece.text == "2026-11-02\nUser: The price?\nUser: In euros\nAssistant: 42 EUR."


def test_long_words_of_the_user_within_an_answer_are_a_passage_of_their_own():
    pieces = split_into_passages([Line(1, "The price?"), SteeredAnswer(2, "42 EUR.", "assistant", said="e" * 795)])

    assert [(one.first_seq, one.last_seq) for one in pieces] == [(1, 1), (2, 2), (2, 2)]
