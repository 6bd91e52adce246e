"""Images as models are given them: those of the question and of what was said just before it; of older ones a note.

A request is built with the places of its images, for the bytes are files: they are fetched when no transaction is open.
"""

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, replace

from functions.chat.images import Images
from parley.db.turn.message_parts import MessagePart
from parley.llm import messages as llm

# Of so many messages before the question, images are shown again.
RECENT_MESSAGES = 4
NOTE = "[image]"
_GONE = "[image: it cannot be read any more]"


@dataclass(frozen=True, slots=True)
class Stored(llm.Image):
    """An image whose bytes are still to be fetched."""

    key: str = ""


def pictured(text: str, images: Sequence[MessagePart], *, are_shown: bool) -> str | list[llm.Part]:
    """Return a message's content: its images, or a note for each, and its text."""
    if not images or not are_shown:
        return "\n".join([*[NOTE for _ in images], *([text] if text else [])])
    shown: list[llm.Part] = [Stored(image["media_type"], b"", image["key"]) for image in images]
    return [*shown, llm.Text(text)] if text else shown


def fetched(request: llm.ModelRequest, images: Images, known: MutableMapping[str, bytes | None]) -> llm.ModelRequest:
    """Return the request with the bytes of its images; those that are `known` are not fetched again.

    One that has gone, or cannot be read now, becomes a note.
    """
    return replace(request, messages=[_fetched(message, images, known) for message in request.messages])


def _fetched(message: llm.Message, images: Images, known: MutableMapping[str, bytes | None]) -> llm.Message:
    if not any(isinstance(part, Stored) for part in message.parts):
        return message
    return replace(message, content=[_filled(part, images, known) if isinstance(part, Stored) else part for part in message.parts])


def _filled(part: Stored, images: Images, known: MutableMapping[str, bytes | None]) -> llm.Part:
    if part.key not in known:
        known[part.key] = images.load(part.key)
    content = known[part.key]
    return llm.Text(_GONE) if content is None else llm.Image(part.media_type, content)
