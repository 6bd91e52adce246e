"""Parley's own export (docs/import.md): the tables `projects`, `conversations`, `messages` and of prompts, with their ids kept.

Parts of messages are checked, because a file may have been written by somebody else: storage keys are made from the ids, and
marks of trust are dropped.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from math import isfinite
from uuid import UUID

from functions.ingest.imports.draft import MAX_MESSAGES, ReadConversation, get_moment, get_text, storable
from functions.ingest.imports.errors import ExportTooLarge, LeftOut, TooLargeToRead
from functions.ingest.imports.json_items import JsonItem, JsonObject
from functions.ingest.imports.parley_prompts import read_prompts
from parley.db.assistants.prompts import ImportedPrompt
from parley.db.conversations import MAX_TAG_LENGTH, MAX_TAGS, MAX_TITLE_LENGTH
from parley.db.images import image_key
from parley.db.imports.imported_conversations import ImportedConversation, ImportedMessage, ImportedProject
from parley.db.messages import MessageRole
from parley.db.turn.message_parts import is_source

# The conversations' rows are in memory until their messages are read.
MAX_ROWS_BYTES = 100_000_000
MAX_NAME_CHARACTERS, MAX_INSTRUCTIONS_CHARACTERS = 100, 32_000
_MAX_PART_DEPTH = 100
# Of an integer in a part. The largest floating-point number has 1,024.
_MAX_NUMBER_BITS = 1024
_ROLES: Mapping[str, MessageRole] = {"user": "user", "assistant": "assistant", "tool": "tool"}
_TEXT_FIELDS = {
    "text": ("text",),
    "thought": ("origin", "payload"),
    "tool_call": ("call_id", "name"),
    "tool_result": ("call_id", "content"),
    "user_message": ("id", "text"),
    "source": (),
    "memory": (),
    "image": ("id", "media_type"),
}


def read_rows(
    items: Iterable[JsonItem], *, user_id: UUID, has_image: Callable[[str], bool], left_out: Counter[str]
) -> Iterator[ReadConversation | ImportedPrompt | LeftOut]:
    """Yield the conversations with their messages, then those without messages, then the prompts.

    A conversation or a prompt that cannot be read yields its error.
    """
    rows: dict[str, JsonObject] = {}
    projects: dict[str, JsonObject] = {}
    of_prompts: dict[str, list[JsonObject]] = {"prompts": [], "prompt_versions": []}
    for conversation_id, messages in groupby(
        _message_rows(items, rows, projects, of_prompts), key=lambda row: get_text(row, "conversation_id")
    ):
        try:
            row = rows.pop(conversation_id, {})
            yield _conversation(row, list(messages), user_id, has_image, left_out, _project(row, projects))
        except (LeftOut, ValueError) as exc:
            yield exc if isinstance(exc, LeftOut) else LeftOut("malformed")
    for row in rows.values():
        try:
            yield _conversation(row, [], user_id, has_image, left_out, _project(row, projects))
        except (LeftOut, ValueError):
            yield LeftOut("malformed")
    yield from read_prompts(of_prompts["prompts"], of_prompts["prompt_versions"])


def _message_rows(
    items: Iterable[JsonItem], rows: dict[str, JsonObject], projects: dict[str, JsonObject], of_prompts: dict[str, list[JsonObject]]
) -> Iterator[JsonObject]:
    """Yield the rows of messages, and collect the rows of projects and conversations, which precede them, and of prompts."""
    size = 0
    for item in items:
        if item.table in of_prompts and item.value is not None:
            of_prompts[item.table].append(item.value)
            if (size := size + item.size) > MAX_ROWS_BYTES:
                raise ExportTooLarge("too many prompts")
        if item.table in ("conversations", "projects") and item.value is not None:
            (rows if item.table == "conversations" else projects)[get_text(item.value, "id")] = item.value
            if (size := size + item.size) > MAX_ROWS_BYTES:
                raise ExportTooLarge("too many conversations")
        elif item.table == "messages":
            yield item.value or {}


def _conversation(
    row: JsonObject,
    message_rows: list[JsonObject],
    user_id: UUID,
    has_image: Callable[[str], bool],
    left_out: Counter[str],
    project: ImportedProject | None,
) -> ReadConversation:
    if len(message_rows) > MAX_MESSAGES:
        raise TooLargeToRead("too many messages")
    messages = sorted(
        (_message(message, user_id, has_image, left_out) for message in message_rows), key=lambda each: (each.seq, each.variant)
    )
    numbers = [message.seq for message in messages if message.is_active]
    if numbers != list(range(1, len(numbers) + 1)) or len({(each.seq, each.variant) for each in messages}) < len(messages):
        raise LeftOut("numbers with gaps")
    created_at = _required_moment(row, "created_at")
    conversation = ImportedConversation(
        UUID(get_text(row, "id")),
        _optional_text(row, "title", MAX_TITLE_LENGTH),
        messages,
        created_at,
        _required_moment(row, "updated_at"),
        model=_optional_text(row, "model", MAX_TITLE_LENGTH),
        system_prompt=_optional_text(row, "system_prompt", MAX_ROWS_BYTES),
        is_title_automatic=row.get("is_title_automatic") is True,
        is_incognito=row.get("is_incognito") is True,
        is_pinned=row.get("is_pinned") is True,
        is_archived=row.get("is_archived") is True,
        tags=_tags(row),
        project=project,
        mined_upto_seq=_number(row, "mined_upto_seq"),
        assistant_id=UUID(assistant_id) if (assistant_id := get_text(row, "assistant_id")) else None,
        assistant_version=None if row.get("assistant_version") is None else _number(row, "assistant_version"),
    )
    return ReadConversation(conversation, {})


def _project(row: JsonObject, projects: dict[str, JsonObject]) -> ImportedProject | None:
    """Return the project of a conversation's row, None if the export does not have it. Raises LeftOut and ValueError."""
    found = projects.get(get_text(row, "project_id"))
    if found is None:
        return None
    return ImportedProject(
        UUID(get_text(found, "id")),
        _optional_text(found, "name", MAX_NAME_CHARACTERS) or "Project",
        _optional_text(found, "instructions", MAX_INSTRUCTIONS_CHARACTERS),
        "project" if found.get("memory_scope") == "project" else "all",
        _required_moment(found, "created_at"),
    )


def _message(row: JsonObject, user_id: UUID, has_image: Callable[[str], bool], left_out: Counter[str]) -> ImportedMessage:
    parts = row.get("parts")
    if not isinstance(parts, list) or (role := _ROLES.get(get_text(row, "role"))) is None:
        raise LeftOut("a message without parts or role")
    return ImportedMessage(
        UUID(get_text(row, "id")),
        role,
        [shown for part in parts if (shown := _part(part, user_id, has_image, left_out))],
        _required_moment(row, "created_at"),
        _number(row, "seq"),
        model=_optional_text(row, "model", MAX_TITLE_LENGTH),
        tokens=_number(row, "tokens"),
        status="completed" if (status := get_text(row, "status")) not in ("interrupted", "stopped", "failed") else status,
        variant=_number(row, "variant"),
        is_active=row.get("is_active") is not False,
        is_forgotten=row.get("is_forgotten") is True,
    )


def _part(part: object, user_id: UUID, has_image: Callable[[str], bool], left_out: Counter[str]) -> dict[str, object] | None:
    """Return a part that may be stored, or None for an image whose file is gone. Raises LeftOut for a part of an unknown shape."""
    kind = get_text(part, "type") if isinstance(part, dict) else ""
    if not isinstance(part, dict) or kind not in _TEXT_FIELDS or not all(isinstance(part.get(name), str) for name in _TEXT_FIELDS[kind]):
        raise LeftOut("an unknown part")
    if kind == "tool_call" and not isinstance(part.get("arguments"), dict):
        raise LeftOut("a tool call without arguments")
    if (kind == "tool_result" and not isinstance(part.get("ok"), bool)) or (kind == "source" and not is_source(part)):
        raise LeftOut("an unknown part")
    clean = _clean(part)
    if not isinstance(clean, dict):
        raise LeftOut("an unknown part")
    clean.pop("is_vouched", None)
    if kind != "image":
        return clean
    # Never the key of the file: it could name another user's image.
    key = image_key(UUID(get_text(clean, "id")), user_id=user_id)
    if not has_image(key):
        left_out["images"] += 1
        return None
    return clean | {"key": key}


def _clean(value: object, depth: int = 0) -> object:
    if depth > _MAX_PART_DEPTH:
        raise TooLargeToRead("a part with too many levels")
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(str(name)): _clean(item, depth + 1) for name, item in value.items()}
    if (isinstance(value, int) and value.bit_length() > _MAX_NUMBER_BITS) or (isinstance(value, float) and not isfinite(value)):
        raise LeftOut("a number out of range")
    return [_clean(item, depth + 1) for item in value] if isinstance(value, list) else value


def _number(row: JsonObject, name: str) -> int:
    value = row.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise LeftOut("a number out of range")
    return value


def _required_moment(row: JsonObject, name: str) -> datetime:
    if (moment := get_moment(row, name)) is None:
        raise LeftOut("a row without a date")
    return moment


def _tags(row: JsonObject) -> list[str]:
    """Return the tags that may be stored: an export written by somebody else may have any."""
    values = row.get("tags")
    texts = [storable(value).strip()[:MAX_TAG_LENGTH] for value in values if isinstance(value, str)] if isinstance(values, list) else []
    return list(dict.fromkeys(filter(None, texts)))[:MAX_TAGS]


def _optional_text(row: JsonObject, name: str, characters: int) -> str | None:
    value = row.get(name)
    return storable(value)[:characters] if isinstance(value, str) else None
