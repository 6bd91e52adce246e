"""The rules for which tool calls need the user's approval and which results are trusted."""

from collections.abc import Mapping
from typing import Any

from parley.tools.spec import ToolSpec

# Parts that strangers may have written. Images count because they may show text.
_UNTRUSTED_PARTS = {"tool_result", "source", "memory", "image"}


def needs_approval(spec: ToolSpec, *, user_requires_approval: bool | None, is_tainted: bool) -> bool:
    """Return whether a call of this tool must be approved before it runs.

    `user_requires_approval` is the user's own setting, None if there is none. True adds a requirement; False never removes one.
    `is_tainted` means that the model's context contains untrusted text (a tool's result, a document, a web page). The
    text's author may have caused the call, so a tool with `egress` or `writes` then needs approval whatever the settings.
    """
    return spec.requires_approval or bool(user_requires_approval) or (is_tainted and (spec.egress or spec.writes))


def is_trusted(spec: ToolSpec) -> bool:
    """Return whether a tool's results are safe from outsiders' influence.

    They are if the tool is built in, changes nothing, makes no outside connections, and reads no stored data. A tool that reads
    stored data has a scope.
    """
    return spec.source == "builtin" and not (spec.egress or spec.writes or spec.scopes)


def taints(part: Mapping[str, Any]) -> bool:
    """Return whether a stored message part is untrusted. `parley.db.search` applies the same rule in SQL."""
    return part["type"] in _UNTRUSTED_PARTS and part.get("is_vouched") is not True
