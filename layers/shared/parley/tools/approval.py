"""When a tool call needs its user's approval, and which results are trusted."""

from collections.abc import Mapping
from typing import Any

from parley.tools.spec import ToolSpec

# What untrusted people may have written, or what followed it; a picture may show words.
_UNTRUSTED_PARTS = {"tool_result", "source", "memory", "image"}


def needs_approval(spec: ToolSpec, *, user_requires_approval: bool | None, is_tainted: bool) -> bool:
    """Say whether a call of this tool must be approved before it runs.

    `wish` is the user's own setting, None where there is none: it may ask for more than the tool does, never for less.
    `is_tainted` says that text which nobody vouches for (a tool's result, a document, a page) is in the model's context:
    whoever wrote it may be the one who calls, so what sends data out or changes something waits, whatever the settings.
    """
    return spec.requires_approval or bool(user_requires_approval) or (is_tainted and (spec.egress or spec.writes))


def is_trusted(spec: ToolSpec) -> bool:
    """Say whether nobody outside has a say in a tool's results: our own code, which reaches nothing and reads nothing stored.

    What reads something that is stored asks for a scope.
    """
    return spec.source == "builtin" and not (spec.egress or spec.writes or spec.scopes)


def taints(part: Mapping[str, Any]) -> bool:
    """Say whether a stored part of a message is text that nobody vouches for. `parley.db.search` asks the same of the database."""
    return part["type"] in _UNTRUSTED_PARTS and part.get("is_vouched") is not True
