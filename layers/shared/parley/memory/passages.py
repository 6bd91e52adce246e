"""Passages: a conversation in pieces that are small enough to be embedded, each with the date and who speaks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

# Small sentence models read 256 tokens and no more.
PIECE_CHARACTERS = 800
PIECE_MESSAGES = 4
_SPEAKERS = {"user": "User", "assistant": "Assistant", "tool": "Tool"}
_BREAKS = ("\n\n", "\n", ". ", " ")


class Said(Protocol):
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
class Piece:
    """A passage: the messages from `first_seq` to `last_seq`, or a part of one. `text` is what is embedded and shown."""

    first_seq: int
    last_seq: int
    text: str
    said_at: datetime


@dataclass(frozen=True, slots=True)
class _Speech:
    """A message, or a part of it, that fits a piece."""

    message: Said
    text: str
    is_part: bool

    def __str__(self) -> str:
        return f"{_SPEAKERS.get(self.message.role, self.message.role)}: {self.text}"


def cut(messages: Sequence[Said], *, characters: int = PIECE_CHARACTERS, at_most: int = PIECE_MESSAGES) -> list[Piece]:
    """Cut messages, oldest first, into pieces of `at_most` messages and about `characters`; a longer message is cut itself.

    A part of a longer message is a piece by itself, so that pieces can be replaced from a message on. A piece begins with
    its day (UTC), and each message in it with who speaks. Messages without text are left out. The same messages give the
    same pieces; more messages behind them change the last piece at most.
    """
    pieces: list[Piece] = []
    together: list[_Speech] = []
    for speech in _speeches(messages, characters):
        if together and not _fits(together, speech, characters, at_most):
            pieces.append(_piece(together))
            together = []
        together.append(speech)
    return [*pieces, _piece(together)] if together else pieces


def _fits(together: Sequence[_Speech], speech: _Speech, characters: int, at_most: int) -> bool:
    """Whether one more belongs to the piece: a question with its answer, and what follows the same day."""
    if together[-1].is_part or speech.is_part:
        return False
    is_same_day = together[0].message.created_at.date() == speech.message.created_at.date()
    return is_same_day and len(together) < at_most and sum(len(one.text) for one in together) + len(speech.text) <= characters


def _piece(together: Sequence[_Speech]) -> Piece:
    first, last = together[0].message, together[-1].message
    text = "\n".join([f"{first.created_at:%Y-%m-%d}", *map(str, together)])
    return Piece(first.seq, last.seq, text, last.created_at)


def _speeches(messages: Sequence[Said], characters: int) -> Iterator[_Speech]:
    for message in messages:
        parts = list(_parts(message.text.strip(), characters))
        for part in parts:
            yield _Speech(message, part, len(parts) > 1)


def _parts(text: str, characters: int) -> Iterator[str]:
    """Split a text where it breaks best, so that no part is longer than `characters`."""
    while len(text) > characters:
        end = _break(text, characters)
        if part := text[:end].strip():
            yield part
        text = text[end:].strip()
    if text:
        yield text


def _break(text: str, characters: int) -> int:
    """Return where to end the part: at a paragraph, a line, a sentence or a word of its second half."""
    for mark in _BREAKS:
        place = text.rfind(mark, characters // 2, characters)
        if place >= 0:
            return place + len(mark)
    return characters
