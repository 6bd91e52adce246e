from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from parley.memory.window import newest_within


@dataclass(frozen=True)
class Sized:
    tokens: int


def test_the_newest_messages_are_kept_in_order():
    messages = [Sized(5), Sized(3), Sized(2)]

    assert newest_within(messages, budget_tokens=5) == [Sized(3), Sized(2)]


def test_nothing_is_kept_when_the_newest_is_too_large():
    assert newest_within([Sized(1), Sized(9)], budget_tokens=8) == []


@given(st.lists(st.builds(Sized, st.integers(1, 50))), st.integers(0, 500))
def test_the_window_is_the_longest_suffix_that_fits(messages, budget):
    kept = newest_within(messages, budget_tokens=budget)

    assert messages[len(messages) - len(kept) :] == kept
    assert sum(m.tokens for m in kept) <= budget
    assert len(kept) == len(messages) or sum(m.tokens for m in messages[-len(kept) - 1 :]) > budget
