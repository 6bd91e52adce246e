"""Stop sequences, split anywhere between two deltas."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.chat.completions.answer_end import StopSequences

LETTERS = st.text("ab", max_size=12)


def shown(stops, pieces):
    """Feed deltas until a stop sequence is met, and return the text that a client sees."""
    seen = ""
    for piece in pieces:
        seen += stops.feed(piece)
        if stops.is_met:
            return seen
    return seen + stops.rest()


@given(st.lists(LETTERS), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
def test_a_reader_sees_the_text_before_the_first_stop_sequence_however_it_is_split(pieces, sequences):
    text = "".join(pieces)
    seen = shown(StopSequences(sequences), pieces)

    assert text.startswith(seen)
    assert not any(sequence in seen for sequence in sequences)
    assert seen == text or any(text[len(seen) :].startswith(sequence) for sequence in sequences)


@pytest.mark.parametrize(("pieces", "expected"), [(["a EN", "D b"], "a "), (["a EN", "E"], "a ENE"), (["a EN"], "a EN")])
def test_text_that_may_begin_a_stop_sequence_is_withheld(pieces, expected):
    assert shown(StopSequences(["END"]), pieces) == expected
