"""Open WebUI's export: chats with a `history` of messages, of which `currentId` is the end of the current branch.

https://docs.openwebui.com/features/chat-conversations/data-controls/import-export/
"""

from collections.abc import Mapping

from functions.ingest.imports.draft import (
    ConversationDraft,
    ExportSource,
    ReadConversation,
    get_members,
    get_moment,
    get_object,
    get_objects,
    get_text,
    path_to,
)

# The model's reasoning and its calls of tools are inside the text.
_DETAILS_START, _DETAILS_END = '<details type="', "</details>"


def read(item: Mapping[str, object], source: ExportSource) -> ReadConversation:
    """Return the messages of the current branch. Raises LeftOut."""
    chat = get_object(item, "chat")
    history = get_object(chat, "history")
    messages = get_members(history, "messages")
    if not messages:  # of the first releases
        messages = {get_text(message, "id") or str(number): message for number, message in enumerate(get_objects(chat, "messages"))}
    draft = ConversationDraft(
        source,
        "open-webui",
        get_text(item, "id"),
        title=get_text(item, "title") or get_text(chat, "title"),
        created_at=get_moment(item, "created_at"),
        updated_at=get_moment(item, "updated_at"),
    )
    path = _path(get_text(history, "currentId"), messages)
    source.left_out["other_branches"] += len(messages) - len(path)
    for id in path:
        _add(draft, id, messages[id], source)
    return draft.finish()


def _path(leaf: str, messages: Mapping[str, Mapping[str, object]]) -> list[str]:
    if leaf not in messages and messages:
        leaf = list(messages)[-1]
    parents = {id: get_text(message, "parentId") for id, message in messages.items()}
    return path_to(leaf, parents) if any(parents.values()) else list(messages)


def _add(draft: ConversationDraft, id: str, message: Mapping[str, object], source: ExportSource) -> None:
    role, files = get_text(message, "role"), get_objects(message, "files")
    if role not in ("user", "assistant"):
        source.left_out["tools_and_reasoning"] += 1
        return
    pointers = [get_text(file, "url") for file in files if file.get("type") == "image"]
    source.left_out["attachments"] += len(files) - len(pointers)
    draft.add(
        "user" if role == "user" else "assistant",
        _without_details(get_text(message, "content"), source),
        id=id,
        created_at=get_moment(message, "timestamp"),
        model=get_text(message, "model"),
        image_pointers=pointers if role == "user" else (),
    )


def _without_details(text: str, source: ExportSource) -> str:
    """Return the text without the blocks of reasoning and tool calls. A block that does not end stays."""
    kept, position = list[str](), 0
    while (start := text.find(_DETAILS_START, position)) >= 0 and (end := text.find(_DETAILS_END, start)) >= 0:
        kept.append(text[position:start])
        position = end + len(_DETAILS_END)
        source.left_out["tools_and_reasoning"] += 1
    return "".join([*kept, text[position:]])
