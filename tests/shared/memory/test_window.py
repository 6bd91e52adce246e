from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from parley.llm.tokens import estimate_tokens
from parley.memory.window import MAX_MESSAGES, fit_with_summary, newest_within


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
    window = newest_within(messages, budget_tokens=budget)

    assert messages[len(messages) - len(window) :] == window
    assert sum(m.tokens for m in window) <= budget
    assert len(window) == len(messages) or sum(m.tokens for m in messages[-len(window) - 1 :]) > budget


def test_the_summary_replaces_the_messages_that_do_not_fit():
    window, before = fit_with_summary([Sized(600), Sized(300), Sized(300)], "They baked bread.", budget_tokens=1000)

    assert window == [Sized(300), Sized(300)]
    assert before.endswith("They baked bread.")


def test_the_summary_is_omitted_if_all_messages_fit():
    assert fit_with_summary([Sized(300)], "They baked bread.", budget_tokens=1000) == ([Sized(300)], "")


def test_a_conversation_longer_than_the_window_has_its_summary():
    _, before = fit_with_summary([Sized(1)] * MAX_MESSAGES, "They baked bread.", budget_tokens=1000)

    assert before


@given(st.lists(st.builds(Sized, st.integers(1, 50))), st.text(max_size=2000), st.integers(-10, 500))
def test_the_window_fits_together_with_its_summary(messages, summary, budget):
    window, before = fit_with_summary(messages, summary, budget_tokens=budget)

    assert sum(m.tokens for m in window) + (estimate_tokens(before) if before else 0) <= max(budget, 0)
