"""ChatGPT's `conversations.json`: each conversation is a tree of messages, of which `current_node` is the end of the current branch.

OpenAI does not document the format: https://help.openai.com/en/articles/7260999-how-do-i-export-my-chatgpt-history-and-data
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
from functions.ingest.imports.errors import LeftOut

_TEXT_TYPES = {"text", "multimodal_text"}


def read(item: Mapping[str, object], source: ExportSource) -> ReadConversation:
    """Return the messages of the current branch. Raises LeftOut."""
    mapping = get_members(item, "mapping")
    if not mapping:
        raise LeftOut("no mapping")
    path = path_to(_leaf(item, mapping), {id: get_text(node, "parent") for id, node in mapping.items()})
    draft = ConversationDraft(
        source,
        "chatgpt",
        get_text(item, "conversation_id", "id"),
        title=get_text(item, "title"),
        created_at=get_moment(item, "create_time"),
        updated_at=get_moment(item, "update_time"),
    )
    for id in path:
        _add(draft, id, get_object(mapping[id], "message"), source)
    on_path = set(path)
    source.left_out["other_branches"] += sum(id not in on_path and _is_shown(get_object(node, "message")) for id, node in mapping.items())
    return draft.finish()


def _leaf(item: Mapping[str, object], mapping: Mapping[str, Mapping[str, object]]) -> str:
    """Return `current_node`, or the newest message if it names none."""
    if (current := get_text(item, "current_node")) in mapping:
        return current
    dated = ((get_moment(get_object(node, "message"), "create_time"), id) for id, node in mapping.items())
    return max(((moment, id) for moment, id in dated if moment), default=(None, list(mapping)[-1]))[1]


def _add(draft: ConversationDraft, id: str, message: Mapping[str, object], source: ExportSource) -> None:
    if not _is_shown(message):
        return
    content, author = get_object(message, "content"), get_text(get_object(message, "author"), "role")
    if author not in ("user", "assistant") or get_text(content, "content_type") not in _TEXT_TYPES:
        source.left_out["tools_and_reasoning"] += 1
        return
    metadata = get_object(message, "metadata")
    source.left_out["attachments"] += sum(
        not get_text(file, "mime_type", "mimeType").startswith("image/") for file in get_objects(metadata, "attachments")
    )
    draft.add(
        "user" if author == "user" else "assistant",
        _text(content),
        id=id,
        created_at=get_moment(message, "create_time"),
        model=get_text(metadata, "model_slug"),
        image_pointers=_image_pointers(content) if author == "user" else (),
    )


def _is_shown(message: Mapping[str, object]) -> bool:
    """Return whether ChatGPT shows the message: no system message, no hidden context, no call of a tool."""
    is_hidden = get_object(message, "metadata").get("is_visually_hidden_from_conversation") is True
    is_system = get_text(get_object(message, "author"), "role") in ("", "system")
    return not is_hidden and not is_system and get_text(message, "recipient") in ("", "all")


def _text(content: Mapping[str, object]) -> str:
    """Return the texts of a message, and what was said in one that was spoken."""
    parts = content.get("parts")
    texts = [part for part in parts if isinstance(part, str)] if isinstance(parts, list) else []
    spoken = [get_text(part, "text") for part in get_objects(content, "parts") if part.get("content_type") == "audio_transcription"]
    return "\n\n".join(text for text in [*texts, *spoken] if text)


def _image_pointers(content: Mapping[str, object]) -> list[str]:
    return [get_text(part, "asset_pointer") for part in get_objects(content, "parts") if part.get("content_type") == "image_asset_pointer"]
