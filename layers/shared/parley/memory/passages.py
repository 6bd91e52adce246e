"""Splits a conversation into passages: texts short enough to be embedded, each with its date and speakers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

# Small embedding models read at most 256 tokens.
PASSAGE_CHARACTERS = 800
PASSAGE_MESSAGES = 4
_SPEAKERS = {"user": "User", "assistant": "Assistant", "tool": "Tool"}
_BREAK_MARKS = ("\n\n", "\n", ". ", " ")


class PassageMessage(Protocol):
    """The fields of a stored message that passages use. `seq` is its number in the conversation."""

    @property
    def seq(self) -> int: ...
    @property
    def role(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Passage:
    """The messages from `first_seq` to `last_seq`, or a part of one message. `text` is embedded and shown."""

    first_seq: int
    last_seq: int
    text: str
    said_at: datetime


@dataclass(frozen=True, slots=True)
class _Utterance:
    """A message, or a part of it, that fits into a passage."""

    message: PassageMessage
    text: str
    is_part: bool

    def __str__(self) -> str:
        return f"{_SPEAKERS.get(self.message.role, self.message.role)}: {self.text}"


def split_into_passages(
    messages: Sequence[PassageMessage], *, characters: int = PASSAGE_CHARACTERS, at_most: int = PASSAGE_MESSAGES
) -> list[Passage]:
    """Split messages, oldest first, into passages of up to `at_most` messages and about `characters`.

    A longer message is split, and each of its parts is a separate passage, so that passages can be replaced starting at any
    message. A passage begins with its day (UTC), and each message in it with its speaker. Messages without text are
    omitted. The result is deterministic; appending messages changes at most the last passage.
    """
    passages: list[Passage] = []
    group: list[_Utterance] = []
    for utterance in _utterances(messages, characters):
        if group and not _fits_passage(group, utterance, characters, at_most):
            passages.append(_passage(group))
            group = []
        group.append(utterance)
    return [*passages, _passage(group)] if group else passages


def _fits_passage(group: Sequence[_Utterance], utterance: _Utterance, characters: int, at_most: int) -> bool:
    """Return whether another message fits: same day, not part of a longer message, and within both limits."""
    if group[-1].is_part or utterance.is_part:
        return False
    is_same_day = group[0].message.created_at.date() == utterance.message.created_at.date()
    return is_same_day and len(group) < at_most and sum(len(other.text) for other in group) + len(utterance.text) <= characters


def _passage(group: Sequence[_Utterance]) -> Passage:
    first, last = group[0].message, group[-1].message
    text = "\n".join([f"{first.created_at:%Y-%m-%d}", *map(str, group)])
    return Passage(first.seq, last.seq, text, last.created_at)


def _utterances(messages: Sequence[PassageMessage], characters: int) -> Iterator[_Utterance]:
    for message in messages:
        parts = list(_parts(message.text.strip(), characters))
        for part in parts:
            yield _Utterance(message, part, len(parts) > 1)


def _parts(text: str, characters: int) -> Iterator[str]:
    """Split a text at its best break positions into parts of at most `characters`."""
    while len(text) > characters:
        end = _break_position(text, characters)
        if part := text[:end].strip():
            yield part
        text = text[end:].strip()
    if text:
        yield text


def _break_position(text: str, characters: int) -> int:
    """Return the position after the last paragraph, else line, sentence or word that ends in the second half of the part."""
    for mark in _BREAK_MARKS:
        position = text.rfind(mark, characters // 2, characters)
        if position >= 0:
            return position + len(mark)
    return characters
