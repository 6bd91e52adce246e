"""A turn's question and the messages before it: as the client sends them, as stored, and as the model receives them.

Images are fetched only when the request is sent, so that no transaction is open during the download.
"""

import json
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from functions.chat.errors import NothingToRegenerate
from functions.chat.turn.images import Images
from parley.auth.principal import Principal
from parley.db import messages
from parley.db.conversations import Conversation
from parley.db.engine import Connection
from parley.db.messages import HistoryMessage, Window
from parley.db.turn.message_parts import MessagePart
from parley.errors import NotFound
from parley.ids import new_id
from parley.llm import messages as llm
from parley.llm.messages import Image, OutputSchema
from parley.llm.prompts import untrusted_result
from parley.llm.tokens import PER_IMAGE, PER_MESSAGE, estimate_tokens
from parley.memory.window import MAX_MESSAGES
from parley.tools.outcome import truncate_result

if TYPE_CHECKING:
    # Not at run time: few turns have an assistant.
    from functions.chat.turn.assistant import TurnAssistant

# A stored message must fit into a Lambda response of at most 6 MB, in which a character can take seven bytes.
MAX_MESSAGE_CHARACTERS = 800_000
ASSISTANT_PREFIX = "assistant:"
IMAGE_NOTE = "[image]"
_LOST_IMAGE_NOTE = "[image: no longer available]"
_NO_RESULT = "Not run: the answer ended before this call."
# Some vendors reject a user message directly after a tool message.
_ENDED_NOTE = "(The answer ended here.)"
_INTERJECTION_NOTE = "(The user adds a message.)"


@dataclass(frozen=True, slots=True)
class Question:
    """A question and how to answer it. Without `conversation_id`, the question opens a new conversation.

    With `wait`, the turn begins once the conversation's running turn has ended. `tools` selects the user's tools that the model may
    call: all, none, or the named tools. `documents` selects the documents to search: all that the user may read, none, or documents
    by their ids. `output` is the schema of the answer. `attached` holds new images and ids of earlier images; once the new images
    are stored, `images` holds the message parts instead. A new conversation with `is_incognito` neither uses nor feeds the user's
    memory. With `asks_user`, the model may ask the user in a form. With `is_regeneration`, the question is the conversation's last
    question, and `text` is empty until it is read. With `opens_conversation`, a conversation that does not exist is opened under
    `conversation_id`. `assistant_id` replaces the conversation's assistant; `assistant` is the turn's assistant, once it is read.
    """

    text: str
    conversation_id: UUID | None = None
    model: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    wait: bool = False
    is_regeneration: bool = False
    tools: bool | Sequence[str] = False
    output: OutputSchema | None = None
    attached: Sequence[Image | UUID] = ()
    images: Sequence[MessagePart] = ()
    is_incognito: bool = False
    documents: bool | Sequence[UUID] = False
    asks_user: bool = False
    opens_conversation: bool = False
    assistant_id: UUID | None = None
    assistant: "TurnAssistant | None" = None

    @property
    def named_documents(self) -> Sequence[UUID]:
        """The documents selected by their ids; empty if all or none are searched."""
        return () if isinstance(self.documents, bool) else self.documents

    def options(self) -> dict[str, Any]:
        """Return the options as JSON, for the checkpoint of a turn that pauses."""
        plain = {"model": self.model, "max_output_tokens": self.max_output_tokens, "temperature": self.temperature, "tools": self.tools}
        asking = {"asks_user": True} if self.asks_user else {}
        return plain | {"output": asdict(self.output) if self.output else None, "documents": bool(self.documents)} | asking

    @classmethod
    def restore(cls, text: str, images: Sequence[MessagePart], conversation_id: UUID, options: Mapping[str, Any]) -> Self:
        """Return a stored question with the options of a checkpoint."""
        output = options.get("output")
        restored = {"output": OutputSchema(**output) if output else None, "images": images}
        return cls(text, conversation_id, **dict(options) | restored)


def parse_assistant(model: str) -> UUID | None:
    """Return the id in a model's name of the form `assistant:<id>`, None for other names."""
    if not model.startswith(ASSISTANT_PREFIX):
        return None
    try:
        return UUID(model.removeprefix(ASSISTANT_PREFIX))
    except ValueError:
        return None


def with_assistant(connection: Connection, question: Question, conversation: Conversation | None, principal: Principal) -> Question:
    """Return the question with the assistant that it names, or else the conversation's, if there is one. Raises AssistantNotFound."""
    assistant_id = question.assistant_id or (conversation.assistant_id if conversation else None)
    if assistant_id is None:
        return question
    # A turn without an assistant does not import the module.
    from functions.chat.turn.assistant import apply_assistant

    return apply_assistant(connection, question, assistant_id, principal)


def default_title(text: str, *, limit: int = 60) -> str | None:
    """Return the title of a conversation that begins with `text`: its start, on one line. None if `text` is blank."""
    line = " ".join(text.split())
    return (line if len(line) <= limit else line[: limit - 1].rstrip() + "…") or None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionWithHistory:
    """A question with known text, its message's id, the earlier messages (oldest first), and the conversation's summary.

    `is_history_truncated` means that the conversation may have messages before `history`.
    """

    question: Question
    message_id: UUID
    history: Sequence[HistoryMessage]
    summary: str | None
    is_history_truncated: bool


def add_history(connection: Connection, conversation: Conversation | None, question: Question, *, user_id: UUID) -> QuestionWithHistory:
    """Return the question with the conversation's history. A regenerated question is read from that history.

    Raises NothingToRegenerate.
    """
    window = Window([], None)
    if conversation:
        window = messages.window(connection, conversation.id, user_id=user_id, limit=MAX_MESSAGES)
    if question.is_regeneration:
        return _last_question(window, question)
    return _with_window(question, new_id(), window, len(window.history))


def load_question(
    connection: Connection, conversation: Conversation, message_id: UUID, options: Mapping[str, Any], *, user_id: UUID
) -> QuestionWithHistory:
    """Return the stored question of a paused turn, with the options of its checkpoint. Raises NotFound."""
    window = messages.window(connection, conversation.id, user_id=user_id, limit=MAX_MESSAGES)
    for position, message in enumerate(window.history):
        if message.id == message_id:
            question = Question.restore(message.text, message.images, conversation.id, options)
            return _with_window(question, message_id, window, position)
    raise NotFound("message", message_id)


def _last_question(window: Window, question: Question) -> QuestionWithHistory:
    """Return the conversation's last question, answered or not."""
    for position, message in reversed(list(enumerate(window.history))):
        if message.role == "user":
            return _with_window(replace(question, text=message.text, images=message.images), message.id, window, position)
    raise NothingToRegenerate(f"conversation {question.conversation_id}")


def _with_window(question: Question, message_id: UUID, window: Window, position: int) -> QuestionWithHistory:
    """Return the question with the part of the window before `position`."""
    return QuestionWithHistory(
        question=question,
        message_id=message_id,
        history=window.history[:position],
        summary=window.summary,
        is_history_truncated=len(window.history) >= MAX_MESSAGES,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfetchedImage(llm.Image):
    """An image whose bytes are not fetched yet."""

    key: str


def message_content(text: str, images: Sequence[MessagePart], *, are_shown: bool) -> str | list[llm.Part]:
    """Return the content of a user's message: its images, or a note in place of each, and its text."""
    if not images or not are_shown:
        return "\n".join([*[IMAGE_NOTE for _ in images], *([text] if text else [])])
    shown: list[llm.Part] = [UnfetchedImage(image["media_type"], b"", key=image["key"]) for image in images]
    return [*shown, llm.Text(text)] if text else shown


def fetch_images(request: llm.ModelRequest, images: Images, cache: MutableMapping[str, bytes | None]) -> llm.ModelRequest:
    """Return the request with the bytes of its images. Each image is read from the bucket only once, and then from the cache.

    An image that is missing or unreadable becomes a note.
    """
    return replace(request, messages=[_fetch_message_images(message, images, cache) for message in request.messages])


def _fetch_message_images(message: llm.Message, images: Images, cache: MutableMapping[str, bytes | None]) -> llm.Message:
    if not message.has_images:
        return message
    return replace(
        message, content=[_fetch_image(part, images, cache) if isinstance(part, UnfetchedImage) else part for part in message.parts]
    )


def _fetch_image(part: UnfetchedImage, images: Images, cache: MutableMapping[str, bytes | None]) -> llm.Part:
    if part.key not in cache:
        cache[part.key] = images.load(part.key)
    content = cache[part.key]
    return llm.Text(_LOST_IMAGE_NOTE) if content is None else llm.Image(part.media_type, content)


def answer_messages(parts: Sequence[MessagePart], *, with_thoughts: bool = False, max_bytes: int | None = None) -> list[llm.Message]:
    """Return an answer as messages: each round's text and tool calls, then the results of these calls.

    Each result is truncated to `max_bytes`. Sources are left out.
    """
    return [
        message
        for round_parts in _split_rounds([part for part in parts if part["type"] != "source"])
        for message in _round_messages(round_parts, with_thoughts=with_thoughts, max_bytes=max_bytes)
    ]


def ended_answer_messages(parts: Sequence[MessagePart]) -> list[llm.Message]:
    """Return an ended answer as messages. The last message is always the assistant's."""
    answer = answer_messages(parts)
    return [*answer, llm.Message("assistant", _ENDED_NOTE)] if answer and answer[-1].role == "tool" else answer


def message_tokens(message: llm.Message) -> int:
    """Return a generous estimate of a message's tokens."""
    if isinstance(message.content, str):
        return estimate_tokens(message.content)
    images = sum(isinstance(part, llm.Image) for part in message.parts)
    return PER_MESSAGE + images * PER_IMAGE + sum(estimate_tokens(text) - PER_MESSAGE for text in _message_texts(message))


def _message_texts(message: llm.Message) -> Iterator[str]:
    for part in message.parts:
        match part:
            case llm.Text(text) | llm.ToolResult(_, text) | llm.Thought(_, text):
                yield text
            case llm.ToolCall(_, name, arguments):
                yield f"{name} {arguments}"


def _split_rounds(parts: Sequence[MessagePart]) -> Iterator[list[MessagePart]]:
    """Yield the parts of each round; a round ends with its last tool result."""
    round_parts: list[MessagePart] = []
    for part in parts:
        if round_parts and round_parts[-1]["type"] == "tool_result" and part["type"] != "tool_result":
            yield round_parts
            round_parts = []
        round_parts.append(part)
    if round_parts:
        yield round_parts


def _round_messages(round_parts: list[MessagePart], *, with_thoughts: bool, max_bytes: int | None) -> Iterator[llm.Message]:
    """Yield what the user added before the round, the assistant's message and, if it calls tools, the message with their results."""
    for part in round_parts:
        if part["type"] == "user_message":
            yield llm.Message("assistant", _INTERJECTION_NOTE)
            yield llm.Message("user", part["text"])
    assistant_parts = [part for part in map(_assistant_part, round_parts) if part and (with_thoughts or not isinstance(part, llm.Thought))]
    if assistant_parts:
        yield llm.Message("assistant", assistant_parts)
    results = {part["call_id"]: part for part in round_parts if part["type"] == "tool_result"}
    call_ids = [part.id for part in assistant_parts if isinstance(part, llm.ToolCall)]
    if call_ids:
        yield llm.Message("tool", [_tool_result(call_id, results.get(call_id), max_bytes) for call_id in call_ids])


def _assistant_part(part: MessagePart) -> llm.Part | None:
    match part:
        case {"type": "text", "text": text}:
            return llm.Text(text) if text else None
        case {"type": "thought", "origin": origin, "payload": payload}:
            return llm.Thought(origin, payload)
        case {"type": "tool_call", "call_id": call_id, "name": name, "arguments": arguments}:
            return llm.ToolCall(call_id, name, json.dumps(arguments, ensure_ascii=False, separators=(",", ":")))
    return None


def _tool_result(call_id: str, part: MessagePart | None, max_bytes: int | None) -> llm.ToolResult:
    if part is None:
        return llm.ToolResult(call_id, _NO_RESULT, is_error=True)
    content = part["content"] if max_bytes is None else truncate_result(part["content"], max_bytes=max_bytes)
    return llm.ToolResult(call_id, untrusted_result(content), is_error=not part["ok"])
