"""Splits a conversation into passages: texts short enough to be embedded, each with its date and speakers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

# Small embedding models read at most 256 tokens.
PASSAGE_CHARACTERS = 800
_SPEAKERS = {"user": "User", "assistant": "Assistant", "tool": "Tool"}
_BREAK_MARKS = ("\n\n", "\n", ". ", " ")


@dataclass(frozen=True, slots=True)
class Utterance:
    """The words of one speaker: `user`, `assistant` or `tool`."""

    role: str
    text: str


class PassageMessage(Protocol):
    """The fields of a stored message that passages use. `seq` is its number in the conversation.

    An answer has several utterances if the user spoke while it was written.
    """

    @property
    def seq(self) -> int: ...
    @property
    def role(self) -> str: ...
    @property
    def utterances(self) -> Sequence[Utterance]: ...
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
class _Piece:
    """An utterance of a message, or a part of it, that fits into a passage."""

    message: PassageMessage
    role: str
    text: str
    is_part: bool

    def __str__(self) -> str:
        return f"{_SPEAKERS.get(self.role, self.role)}: {self.text}"


@dataclass(frozen=True, slots=True)
class SaidMessage:
    """The fields of a message that passages use, where the stored message is not at hand."""

    seq: int
    utterances: Sequence[Utterance]
    created_at: datetime
    role: str = "user"


def split_into_passages(messages: Sequence[PassageMessage], *, characters: int = PASSAGE_CHARACTERS) -> list[Passage]:
    """Split messages, oldest first, into passages of about `characters`, none of which has messages of two turns.

    A question and its answer are one passage. A longer message is split, and each of its parts is a separate passage. A passage
    begins with its day (UTC), and each message in it with its speaker. Messages without text are omitted, and so are parts of a
    message that repeat an earlier one: search would find the same text again. The result is deterministic, and the passages of a
    turn depend on no other turn: they are stored once, with the turn.
    """
    passages: list[Passage] = []
    group: list[_Piece] = []
    for piece in _pieces(messages, characters):
        if group and not _fits_passage(group, piece, characters):
            passages.append(_passage(group))
            group = []
        group.append(piece)
    return [*passages, _passage(group)] if group else passages


def _fits_passage(group: Sequence[_Piece], piece: _Piece, characters: int) -> bool:
    """Return whether another piece fits: it follows in the same turn and on the same day, no utterance is split, and all are short."""
    last, message = group[-1].message, piece.message
    is_same_turn = message.seq == last.seq or (message.role != "user" and message.seq == last.seq + 1)
    if group[-1].is_part or piece.is_part or not is_same_turn:
        return False
    is_same_day = group[0].message.created_at.date() == message.created_at.date()
    return is_same_day and sum(len(other.text) for other in group) + len(piece.text) <= characters


def _passage(group: Sequence[_Piece]) -> Passage:
    first, last = group[0].message, group[-1].message
    text = "\n".join([f"{first.created_at:%Y-%m-%d}", *map(str, group)])
    return Passage(first.seq, last.seq, text, last.created_at)


def _pieces(messages: Sequence[PassageMessage], characters: int) -> Iterator[_Piece]:
    for message in messages:
        for utterance in message.utterances:
            text = utterance.text.strip()
            for part in dict.fromkeys(_parts(text, characters)):
                yield _Piece(message, utterance.role, part, part != text)


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
