"""Reads the conversations of an export, one at a time and in a fixed order, whatever program wrote it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from functions.ingest.imports import chatgpt, claude, librechat, open_webui, parley_export
from functions.ingest.imports.draft import ExportSource, ReadConversation, get_text
from functions.ingest.imports.errors import LeftOut, TooLargeToRead, UnknownFormat
from functions.ingest.imports.json_items import JsonItem, read_items
from parley.db.assistants.prompts import ImportedPrompt

type ReadFunction = Callable[[Mapping[str, object], ExportSource], ReadConversation]


@dataclass(frozen=True, slots=True)
class ReadResult:
    """A conversation, a prompt of Parley's own export, or the reason why one is left out.

    `done` is the part of the file that has been read, from 0 to 1. `program` is the program that wrote the file, None if the value is
    not of a known format.
    """

    program: str | None
    title: str
    done: float
    read: ReadConversation | ImportedPrompt | LeftOut


def read_conversations(source: ExportSource, *, has_image: Callable[[str], bool]) -> Iterator[ReadResult]:
    """Yield the conversations of an export. `has_image` tells whether a key of the file store has an image.

    Raises the errors of `archive` and `json_items`, after the conversations before the damage.
    """
    names = source.archive.document_names()
    for number, name in enumerate(names):
        with source.archive.open_document(name) as file:
            items = read_items(file)
            for result in _read(items, source, has_image):
                done = (number + file.bytes_read / file.size) / len(names)
                yield ReadResult(*result[:2], done, result[2])


def _read(
    items: Iterator[JsonItem], source: ExportSource, has_image: Callable[[str], bool]
) -> Iterator[tuple[str | None, str, ReadConversation | ImportedPrompt | LeftOut]]:
    first = next(items, None)
    if first is None:
        return
    rest = chain([first], items)
    if first.table is not None:
        for read in parley_export.read_rows(rest, user_id=source.user_id, has_image=has_image, left_out=source.left_out):
            yield "parley", _title_of(read), read
        return
    for item in rest:
        yield _read_item(item, source)


def _title_of(read: ReadConversation | ImportedPrompt | LeftOut) -> str:
    if isinstance(read, ImportedPrompt):
        return read.name
    return read.conversation.title or "" if isinstance(read, ReadConversation) else ""


def _read_item(item: JsonItem, source: ExportSource) -> tuple[str | None, str, ReadConversation | LeftOut]:
    if item.value is None:
        return None, "", TooLargeToRead("over the limits")
    program, read = _format_of(item.value)
    title = get_text(item.value, "title", "name")
    if read is None:
        return None, title, UnknownFormat("no known fields")
    try:
        return program, title, read(item.value, source)
    except LeftOut as exc:
        return program, title, exc


def _format_of(item: Mapping[str, object]) -> tuple[str | None, ReadFunction | None]:
    """Return the program whose format the value has, and the function that reads it."""
    if "mapping" in item or "current_node" in item:
        return "chatgpt", chatgpt.read
    if "chat_messages" in item:
        return "claude", claude.read
    if isinstance(item.get("chat"), dict):
        return "open-webui", open_webui.read
    if "conversationId" in item and ("messages" in item or "messagesTree" in item):
        return "librechat", librechat.read
    # A damaged entry of ChatGPT's list lacks the tree.
    return ("chatgpt", chatgpt.read) if "conversation_id" in item else (None, None)
