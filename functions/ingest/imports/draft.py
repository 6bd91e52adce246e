"""Builds a conversation to store from what a source's format has: cleans texts and dates, and numbers the messages."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from functions.ingest.imports.archive import Archive, ImageFile
from functions.ingest.imports.errors import LeftOut, TooLargeToRead, WithoutMessages
from parley.clock import utc_now
from parley.db.conversations import MAX_TITLE_LENGTH
from parley.db.images import image_key
from parley.db.imports.imported_conversations import ImportedConversation, ImportedMessage
from parley.db.messages import MessageRole
from parley.llm.tokens import estimate_tokens

# The ids of imported conversations are version 5 UUIDs in this namespace.
NAMESPACE = UUID("5f0d6f7c-6a3e-5b54-9f0b-3d7c1a6f2e11")
MAX_MESSAGES = 20_000
MAX_MESSAGE_CHARACTERS = 400_000
_DERIVED_TITLE_CHARACTERS = 60
# Milliseconds since 1970 are larger than this until the year 5138, and seconds smaller.
_MAX_SECONDS = 1e11
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(slots=True)
class ExportSource:
    """The file that conversations are read from: its user, its images, and counts of what is left out of the conversations, by code."""

    user_id: UUID
    archive: Archive
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class ReadConversation:
    """A conversation that was read from a file, and the content of its images by their keys in the file store."""

    conversation: ImportedConversation
    images: Mapping[str, ImageFile]


class ConversationDraft:
    """Collects the messages of a conversation, oldest first. `program` and `id` identify the conversation for later imports.

    Consecutive answers become one message, because a question has one answer here. Raises LeftOut without an `id`.
    """

    def __init__(
        self, source: ExportSource, program: str, id: str, *, title: str, created_at: datetime | None, updated_at: datetime | None
    ) -> None:
        if not id:
            raise LeftOut("no id")
        self.id = uuid5(NAMESPACE, f"{program}:{id}")
        self._source, self._title = source, storable(title).strip()
        self._created_at, self._updated_at = created_at, updated_at
        self._messages: list[ImportedMessage] = []
        self._texts: list[list[str]] = []
        self._images: dict[str, ImageFile] = {}

    def add(
        self,
        role: MessageRole,
        text: str,
        *,
        id: str,
        created_at: datetime | None,
        model: str | None = None,
        image_pointers: Iterable[str] = (),
    ) -> None:
        """Append a message, unless it has neither text nor an image. Raises TooLargeToRead."""
        text = self._cut(storable(text).strip())
        parts = [part for pointer in image_pointers if (part := self._image_part(pointer))]
        if not text and not parts:
            return
        if self._messages and role == self._messages[-1].role == "assistant":
            self._texts[-1].append(text)
            return
        if len(self._messages) >= MAX_MESSAGES:
            raise TooLargeToRead("too many messages")
        self._texts.append([text])
        self._messages.append(
            ImportedMessage(
                uuid5(self.id, id or str(len(self._messages))),
                role,
                parts,
                created_at or (self._messages[-1].created_at if self._messages else self._created_at) or utc_now(),
                len(self._messages) + 1,
                model=storable(model)[:200] if model and role == "assistant" else None,
            )
        )

    def finish(self) -> ReadConversation:
        """Return the conversation. Raises WithoutMessages."""
        if not self._messages:
            raise WithoutMessages("no messages")
        messages = [_with_text(message, self._cut("\n\n".join(texts))) for message, texts in zip(self._messages, self._texts, strict=True)]
        dates = [message.created_at for message in messages]
        conversation = ImportedConversation(
            self.id,
            self._title[:MAX_TITLE_LENGTH] or _derived_title(messages),
            messages,
            created_at=min([self._created_at or dates[0], *dates]),
            updated_at=max([self._updated_at or dates[-1], *dates]),
            is_title_automatic=not self._title,
        )
        return ReadConversation(conversation, self._images)

    def _cut(self, text: str) -> str:
        if len(text) > MAX_MESSAGE_CHARACTERS:
            self._source.left_out["text_cut"] += 1
        return text[:MAX_MESSAGE_CHARACTERS]

    def _image_part(self, pointer: str) -> dict[str, str] | None:
        image = self._source.archive.image(pointer)
        if image is None:
            self._source.left_out["images"] += 1
            return None
        id = uuid5(self.id, image.name)
        key = image_key(id, user_id=self._source.user_id)
        self._images[key] = image
        return {"type": "image", "id": str(id), "key": key, "media_type": image.media_type}


def _with_text(message: ImportedMessage, text: str) -> ImportedMessage:
    parts = [*message.parts, {"type": "text", "text": text}] if text or not message.parts else message.parts
    return replace(message, parts=parts, tokens=estimate_tokens(text))


def _derived_title(messages: Sequence[ImportedMessage]) -> str | None:
    """Return the beginning of the first text, or None. The title of a conversation without one is a part of its question."""
    words = next((message.text for message in messages if message.text), "").split()
    return " ".join(words)[:_DERIVED_TITLE_CHARACTERS] or None


def storable(text: str) -> str:
    """Return the text with the characters replaced that PostgreSQL or UTF-8 cannot hold."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def get_text(item: Mapping[str, object], *names: str) -> str:
    """Return the first of these fields whose value is a string, or an empty string."""
    return next((value for name in names if isinstance(value := item.get(name), str)), "")


def get_object(item: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Return a field that is an object, or an empty object."""
    value = item.get(name)
    return value if isinstance(value, dict) else {}


def get_members(item: Mapping[str, object], name: str) -> dict[str, Mapping[str, object]]:
    """Return the objects in a field that is an object, by their names."""
    return {key: value for key, value in get_object(item, name).items() if isinstance(value, dict)}


def get_objects(item: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    """Return the objects in a field that is a list, or none."""
    value = item.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def get_moment(item: Mapping[str, object], *names: str) -> datetime | None:
    """Return the first of the fields that is a plausible time: seconds or milliseconds since 1970, or ISO 8601."""
    return next((moment for name in names if (moment := _moment(item.get(name)))), None)


def _moment(value: object) -> datetime | None:
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        elif isinstance(value, int | float):
            moment = datetime.fromtimestamp(value / 1000 if value > _MAX_SECONDS else value, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return moment.astimezone(UTC) if _EARLIEST <= moment <= utc_now() + timedelta(days=1) else None


def path_to(leaf: str, parents: Mapping[str, str]) -> list[str]:
    """Return the ids from the root to `leaf`, where `parents` names the parent of each id. A loop ends the path."""
    path: dict[str, None] = {}
    node = leaf
    while node in parents and node not in path:
        path[node] = None
        node = parents[node]
    return list(path)[::-1]
