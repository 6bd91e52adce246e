"""Short-term memory: the newest messages that fit."""

from collections.abc import Sequence
from typing import Protocol


class Sized(Protocol):
    """Anything that knows how many tokens it takes."""

    @property
    def tokens(self) -> int:
        """Its size in tokens."""
        ...


def newest_within[M: Sized](messages: Sequence[M], *, budget_tokens: int) -> list[M]:
    """Return the longest suffix of `messages` that fits `budget_tokens`.

    Order is kept, oldest first. The system prompt is not counted: subtract it first. An empty list means even the
    newest message is too large.
    """
    kept: list[M] = []
    for message in reversed(messages):
        budget_tokens -= message.tokens
        if budget_tokens < 0:
            break
        kept.append(message)
    return kept[::-1]
