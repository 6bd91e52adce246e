"""LibreChat's export of one conversation, flat or as a tree (`recursive`).

https://www.librechat.ai/docs/features/import_convos
"""

from collections.abc import Iterator, Mapping

from functions.ingest.imports.draft import (
    ConversationDraft,
    ExportSource,
    ReadConversation,
    get_moment,
    get_object,
    get_objects,
    get_text,
    path_to,
)


def read(item: Mapping[str, object], source: ExportSource) -> ReadConversation:
    """Return the messages of the branch with the newest message. Raises LeftOut."""
    messages = dict(_flat(item))
    draft = ConversationDraft(
        source,
        "librechat",
        get_text(item, "conversationId"),
        title=get_text(item, "title"),
        created_at=get_moment(item, "createdAt"),
        updated_at=get_moment(item, "updatedAt"),
    )
    path = path_to(_newest(messages), {id: parent for id, (parent, _) in messages.items()})
    source.left_out["other_branches"] += len(messages) - len(path)
    for id in path:
        _add(draft, id, messages[id][1], source)
    return draft.finish()


def _flat(item: Mapping[str, object]) -> Iterator[tuple[str, tuple[str, Mapping[str, object]]]]:
    """Yield (id, (parent's id, message)). Messages of a tree are in `children`; they need not name their parent."""
    roots = get_objects(item, "messages") or get_objects(item, "messagesTree")
    stack = [(message, get_text(message, "parentMessageId")) for message in reversed(roots)]
    while stack:
        message, parent = stack.pop()
        id = get_text(message, "messageId")
        yield id, (parent, message)
        stack += [(child, id) for child in reversed(get_objects(message, "children"))]


def _newest(messages: Mapping[str, tuple[str, Mapping[str, object]]]) -> str:
    """Return the id of the newest message, the last of the file if several are equally new or none has a date."""
    dates = [(str(get_moment(message, "createdAt") or ""), number, id) for number, (id, (_, message)) in enumerate(messages.items())]
    return max(dates, default=("", 0, ""))[2]


def _add(draft: ConversationDraft, id: str, message: Mapping[str, object], source: ExportSource) -> None:
    blocks = get_objects(message, "content")
    texts = [_block_text(block) for block in blocks if block.get("type") == "text"]
    source.left_out["tools_and_reasoning"] += sum(block.get("type") != "text" for block in blocks)
    # The export names files but does not contain them.
    source.left_out["attachments"] += len(get_objects(message, "files"))
    draft.add(
        "user" if message.get("isCreatedByUser") is True else "assistant",
        "\n\n".join(filter(None, texts)) or get_text(message, "text"),
        id=id,
        created_at=get_moment(message, "createdAt"),
        model=get_text(message, "model"),
    )


def _block_text(block: Mapping[str, object]) -> str:
    """Return the text of a block: `{"text": "…"}`, or `{"text": {"value": "…"}}` as OpenAI's Assistants wrote it."""
    return get_text(block, "text") or get_text(get_object(block, "text"), "value")
