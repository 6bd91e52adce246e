"""Passages: a conversation in pieces that are small enough to be embedded, each with the date and who speaks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

# Small sentence models read 256 tokens and no more.
PASSAGE_CHARACTERS = 800
PASSAGE_MESSAGES = 4
_SPEAKERS = {"user": "User", "assistant": "Assistant", "tool": "Tool"}
_BREAK_MARKS = ("\n\n", "\n", ". ", " ")


class PassageMessage(Protocol):
    """A stored message, as far as passages need it."""

    @property
    def seq(self) -> int:
        """Its number in the conversation."""
        ...

    @property
    def role(self) -> str:
        """Who said it."""
        ...

    @property
    def text(self) -> str:
        """What was said."""
        ...

    @property
    def created_at(self) -> datetime:
        """When."""
        ...


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage: the messages from `first_seq` to `last_seq`, or a part of one. `text` is what is embedded and shown."""

    first_seq: int
    last_seq: int
    text: str
    said_at: datetime


@dataclass(frozen=True, slots=True)
class _Utterance:
    """A message, or a part of it, that fits a piece."""

    message: PassageMessage
    text: str
    is_part: bool

    def __str__(self) -> str:
        return f"{_SPEAKERS.get(self.message.role, self.message.role)}: {self.text}"


def split_into_passages(
    messages: Sequence[PassageMessage], *, characters: int = PASSAGE_CHARACTERS, at_most: int = PASSAGE_MESSAGES
) -> list[Passage]:
    """Cut messages, oldest first, into pieces of `at_most` messages and about `characters`; a longer message is cut itself.

    A part of a longer message is a piece by itself, so that pieces can be replaced from a message on. A piece begins with
    its day (UTC), and each message in it with who speaks. Messages without text are left out. The same messages give the
    same pieces; more messages behind them change the last piece at most.
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
    """Whether one more belongs to the piece: a question with its answer, and what follows the same day."""
    if group[-1].is_part or utterance.is_part:
        return False
    is_same_day = group[0].message.created_at.date() == utterance.message.created_at.date()
    return is_same_day and len(group) < at_most and sum(len(one.text) for one in group) + len(utterance.text) <= characters


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
    """Split a text where it breaks best, so that no part is longer than `characters`."""
    while len(text) > characters:
        end = _break_position(text, characters)
        if part := text[:end].strip():
            yield part
        text = text[end:].strip()
    if text:
        yield text


def _break_position(text: str, characters: int) -> int:
    """Return where to end the part: at a paragraph, a line, a sentence or a word of its second half."""
    for mark in _BREAK_MARKS:
        place = text.rfind(mark, characters // 2, characters)
        if place >= 0:
            return place + len(mark)
    return characters
