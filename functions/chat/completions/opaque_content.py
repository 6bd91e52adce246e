"""The `encrypted_content` of items, which clients send back unread: a model's thought, or the summary of a conversation.

A thought is also the `signature` of a thinking block of Anthropic's Messages API.

It is packed, not encrypted. A thought is encrypted or signed by its vendor, and the client may know the text of a summary.
"""

import base64
import json

from parley.llm.messages import Thought

_PREFIX = "parley."
# The kinds of the vendors' reasoning blocks. Other blocks could name files of the operator's account at the vendor.
_KINDS = ("reasoning", "thinking", "redacted_thinking")


def pack_thought(thought: Thought) -> str:
    """Return the thought as the content of a reasoning item."""
    return _pack([thought.origin, thought.payload])


def unpack_thought(content: str) -> Thought | None:
    """Return the thought of a reasoning item, or None if it is of another server or the client has changed it."""
    try:
        origin, payload = _unpack(content)
        block = json.loads(str(payload))
    except (ValueError, TypeError, RecursionError):  # the packed value is not a pair of texts, or the second text is not JSON
        return None
    return Thought(str(origin), str(payload)) if isinstance(origin, str) and _is_reasoning(block) else None


def pack_summary(text: str) -> str:
    """Return a summary as the content of a compaction item."""
    return _pack([text])


def unpack_summary(content: str) -> str | None:
    """Return the summary of a compaction item, or None if it is of another server or the client has changed it."""
    try:
        (text,) = _unpack(content)
    except (ValueError, TypeError, RecursionError):
        return None
    return text if isinstance(text, str) else None


def _pack(value: list[str]) -> str:
    return _PREFIX + base64.urlsafe_b64encode(json.dumps(value, ensure_ascii=False).encode()).decode()


def _unpack(content: str) -> list[object]:
    """Return the packed value, which a client may have changed. Raises ValueError, TypeError and RecursionError."""
    if not content.startswith(_PREFIX):
        raise ValueError("the content is of another server")
    packed = json.loads(base64.urlsafe_b64decode(content.removeprefix(_PREFIX)))
    if not isinstance(packed, list):
        raise TypeError("the packed value is not a list")
    return packed


def _is_reasoning(block: object) -> bool:
    """Return whether a vendor's block is reasoning. Bedrock's has no type: it is a text with a signature, or base64."""
    if not isinstance(block, dict):
        return False
    if "type" in block:
        return block["type"] in _KINDS
    return all(isinstance(value, str) for value in block.values()) and _is_base64(block.get("redacted", ""))


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text)
    except ValueError:  # as `binascii.Error` is, and the error for text that is not ASCII
        return False
    return True
