"""Small exports of other programs, in the shape that those programs write."""

import io
import json
import zipfile
from typing import Any

from tests.support.images import PNG_BYTES

TIME_S = 1_756_000_000.25


def chatgpt_message(
    id: str, role: str, *parts: Any, parent: str | None = None, seconds: float = 0, **fields: Any
) -> tuple[str, dict[str, Any]]:
    """Return a node of ChatGPT's tree of messages, by its id."""
    kind = "text" if all(isinstance(part, str) for part in parts) else "multimodal_text"
    message = {
        "id": id,
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": TIME_S + seconds,
        "update_time": None,
        "content": {"content_type": kind, "parts": list(parts)},
        "status": "finished_successfully",
        "weight": 1.0,
        "metadata": {"model_slug": "gpt-5"} if role == "assistant" else {},
        "recipient": "all",
        "channel": None,
    }
    return id, {"id": id, "message": message | fields, "parent": parent, "children": []}


def chatgpt_conversation(
    *nodes: tuple[str, dict[str, Any]], id: str = "c1", title: str = "A trip", current: str | None = None
) -> dict[str, Any]:
    """Return a conversation; its current node is the last of the file unless given."""
    mapping = {"root": {"id": "root", "message": None, "parent": None, "children": []}} | dict(nodes)
    return {
        "title": title,
        "create_time": TIME_S,
        "update_time": TIME_S + 1000,
        "mapping": mapping,
        "moderation_results": [],
        "current_node": current or nodes[-1][0],
        "conversation_id": id,
        "default_model_slug": "gpt-5",
        "is_archived": False,
        "id": id,
    }


def chatgpt_trip(*, id: str = "c1", upto: int = 4) -> dict[str, Any]:
    """Return a conversation of up to four messages, whose file holds an abandoned answer before the current one."""
    nodes = [
        chatgpt_message("q1", "user", "Where do puffins nest in Iceland?", parent="root"),
        chatgpt_message("a0", "assistant", "An abandoned answer about penguins.", parent="q1", seconds=1),
        chatgpt_message("a1", "assistant", "On the cliffs of Látrabjarg.", parent="q1", seconds=2),
        chatgpt_message("q2", "user", "When should I go?", parent="a1", seconds=3),
        chatgpt_message("a2", "assistant", "From May to August.", parent="q2", seconds=4),
    ][: upto + 1]
    return chatgpt_conversation(*nodes, id=id, title="Puffins")


def chatgpt_photo() -> dict[str, Any]:
    """Return a conversation about an image of the export and one that it lacks."""
    pointers = [
        {"content_type": "image_asset_pointer", "asset_pointer": pointer} for pointer in ("file-service://file-Ab12", "sediment://file_9z")
    ]
    return chatgpt_conversation(
        chatgpt_message("q1", "user", *pointers, "What bird is this?", parent="root"),
        chatgpt_message("a1", "assistant", "A puffin.", parent="q1", seconds=1),
        id="c-photo",
        title="Photo",
    )


def zipped(conversations: Any, *, name: str = "conversations.json", **files: bytes) -> bytes:
    """Return a ZIP file with the conversations, and ChatGPT's asset `file-Ab12`."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, json.dumps(conversations))
        archive.writestr("file-Ab12-photo.png", PNG_BYTES)
        for other, data in files.items():
            archive.writestr(other, data)
    return content.getvalue()


CLAUDE = [
    {
        "uuid": "0b2c7c2e-0000-4000-8000-000000000001",
        "name": "Sourdough",
        "created_at": "2025-03-02T09:00:00.123456Z",
        "updated_at": "2025-03-02T09:05:00.000000Z",
        "account": {"uuid": "0b2c7c2e-0000-4000-8000-0000000000aa"},
        "chat_messages": [
            {
                "uuid": "m1",
                "text": "How wet should the dough be?",
                "content": [{"type": "text", "text": "How wet should the dough be?"}],
                "sender": "human",
                "created_at": "2025-03-02T09:00:01.000000Z",
                "attachments": [
                    {"file_name": "recipe.txt", "file_size": 20, "file_type": "txt", "extracted_content": "Rye starter, 100 g"}
                ],
                "files": [{"file_name": "loaf.jpg"}],
            },
            {
                "uuid": "m2",
                "text": "",
                "content": [{"type": "thinking", "thinking": "Hydration."}, {"type": "text", "text": "Seventy per cent."}],
                "sender": "assistant",
                "created_at": "2025-03-02T09:00:05.000000Z",
                "attachments": [],
                "files": [],
            },
        ],
    }
]


def _librechat_message(id: str, parent: str, text: str, minute: int, *, by_user: bool) -> dict[str, Any]:
    return {
        "messageId": id,
        "parentMessageId": parent,
        "conversationId": "27b593be-9500-479c-94cb-050cab8f5033",
        "createdAt": f"2024-05-28T18:0{minute}:00.000Z",
        "isCreatedByUser": by_user,
        "model": None if by_user else "gpt-4o",
        "sender": "User" if by_user else "GPT-4",
        "text": text,
    }


LIBRECHAT = {
    "conversationId": "27b593be-9500-479c-94cb-050cab8f5033",
    "endpoint": "openAI",
    "title": "Eldoria",
    "exportAt": "08:12:16 GMT-0400 (Eastern Daylight Time)",
    "branches": True,
    "recursive": False,
    "options": {"model": "gpt-4o", "temperature": 1},
    "messages": [
        _librechat_message("l1", "00000000-0000-0000-0000-000000000000", "tell me a story", 1, by_user=True),
        _librechat_message("l2", "l1", "Once upon a time in Eldoria", 2, by_user=False),
        _librechat_message("l3", "l1", "In a kingdom called Elenor", 3, by_user=False),
    ],
}
LIBRECHAT_TREE = {**LIBRECHAT, "recursive": True, "messages": [LIBRECHAT["messages"][0] | {"children": LIBRECHAT["messages"][1:]}]}  # type: ignore[index,operator]


OPEN_WEBUI = [
    {
        "id": "w1",
        "user_id": "u1",
        "title": "Sums",
        "chat": {
            "title": "Sums",
            "models": ["deepseek-r1"],
            "history": {
                "currentId": "r2",
                "messages": {
                    "r3": {
                        "id": "r3",
                        "parentId": "r1",
                        "childrenIds": [],
                        "role": "assistant",
                        "content": "256?",
                        "timestamp": 1_700_000_005,
                    },
                    "r1": {
                        "id": "r1",
                        "parentId": None,
                        "childrenIds": ["r2"],
                        "role": "user",
                        "content": "15 * 17?",
                        "timestamp": 1_700_000_000,
                    },
                    "r2": {
                        "id": "r2",
                        "parentId": "r1",
                        "childrenIds": [],
                        "role": "assistant",
                        "content": '<details type="reasoning" done="true"><summary>Thought</summary>&gt; Let me see</details>\n255',
                        "model": "deepseek-r1",
                        "timestamp": 1_700_000_010,
                        "done": True,
                    },
                },
            },
        },
        "created_at": 1_700_000_000,
        "updated_at": 1_700_000_010,
        "archived": False,
        "pinned": False,
    }
]
