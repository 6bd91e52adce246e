"""A model's thoughts as the `encrypted_content` of a reasoning item, which clients send back unread.

The vendor has encrypted or signed a thought; here it is only packed together with the model that it belongs to.
"""

import base64
import binascii
import json

from parley.llm.messages import Thought

_PREFIX = "parley."
# The kinds of the vendors' reasoning blocks. Other blocks could name files of the operator's account at the vendor.
_KINDS = ("reasoning", "thinking", "redacted_thinking")


def pack_thought(thought: Thought) -> str:
    """Return the thought as the content of a reasoning item."""
    packed = json.dumps([thought.origin, thought.payload], ensure_ascii=False).encode()
    return _PREFIX + base64.urlsafe_b64encode(packed).decode()


def unpack_thought(content: str) -> Thought | None:
    """Return the thought of a reasoning item, or None if it is of another server or the client has changed it."""
    if not content.startswith(_PREFIX):
        return None
    try:
        origin, payload = json.loads(base64.urlsafe_b64decode(content.removeprefix(_PREFIX)))
        block = json.loads(payload)
    except (ValueError, TypeError, RecursionError):  # of base64, UTF-8 and JSON, and of other JSON than a pair of texts
        return None
    return Thought(origin, payload) if isinstance(origin, str) and _is_reasoning(block) else None


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
    except binascii.Error:
        return False
    return True
