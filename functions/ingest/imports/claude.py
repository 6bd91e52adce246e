"""Claude's `conversations.json`: conversations with `chat_messages`.

https://support.claude.com/en/articles/9450526-how-can-i-export-my-claude-data
"""

from collections.abc import Mapping

from functions.ingest.imports.draft import (
    ConversationDraft,
    ExportSource,
    ReadConversation,
    get_moment,
    get_objects,
    get_text,
    path_to,
)

_ROLES: Mapping[str, str] = {"human": "user", "assistant": "assistant"}


def read(item: Mapping[str, object], source: ExportSource) -> ReadConversation:
    """Return the messages, or those of the newest branch if the conversation has several. Raises LeftOut."""
    draft = ConversationDraft(
        source,
        "claude",
        get_text(item, "uuid"),
        title=get_text(item, "name"),
        created_at=get_moment(item, "created_at"),
        updated_at=get_moment(item, "updated_at"),
    )
    messages = get_objects(item, "chat_messages")
    current = _current_branch(item, messages)
    source.left_out["other_branches"] += len(messages) - len(current)
    for message in current:
        _add(draft, message, source)
    return draft.finish()


def _current_branch(item: Mapping[str, object], messages: list[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """Return all messages if they do not name their parents; older exports have one branch only."""
    by_id = {get_text(message, "uuid"): message for message in messages}
    parents = {id: get_text(message, "parent_message_uuid") for id, message in by_id.items()}
    if not any(parent in by_id for parent in parents.values()):
        return messages
    leaf = get_text(item, "current_leaf_message_uuid")
    return [by_id[id] for id in path_to(leaf if leaf in by_id else get_text(messages[-1], "uuid"), parents)]


def _add(draft: ConversationDraft, message: Mapping[str, object], source: ExportSource) -> None:
    blocks = get_objects(message, "content")
    texts = [get_text(block, "text") for block in blocks if block.get("type") == "text"]
    source.left_out["tools_and_reasoning"] += sum(block.get("type") != "text" for block in blocks)
    attachments = get_objects(message, "attachments")
    # Files named by `files` are not in the export; of `attachments`, it has the text.
    source.left_out["attachments"] += sum(not get_text(file, "extracted_content") for file in attachments) + len(
        get_objects(message, "files")
    )
    extracted = [f"{get_text(file, 'file_name')}\n\n{text}" for file in attachments if (text := get_text(file, "extracted_content"))]
    text = "\n\n".join(filter(None, texts)) or get_text(message, "text")
    draft.add(
        "user" if _ROLES.get(get_text(message, "sender")) == "user" else "assistant",
        "\n\n".join(filter(None, [text, *extracted])),
        id=get_text(message, "uuid"),
        created_at=get_moment(message, "created_at"),
    )
