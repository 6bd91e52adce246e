"""Adapts LangChain's tools. The LangChain package is large, so only plugins import it; this module never does."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

from parley.tools.spec import Tool, ToolContext, ToolSpec

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

_METADATA_FIELDS = {"egress", "writes", "requires_approval", "timeout_s"}


def is_langchain_tool(thing: object) -> "TypeGuard[BaseTool]":
    """Return whether `thing` is a LangChain tool. LangChain is not imported: if no plugin has imported it, no tool can exist."""
    library = sys.modules.get("langchain_core.tools.base")
    return library is not None and isinstance(thing, library.BaseTool)


def from_langchain(tool: "BaseTool") -> Tool:
    """Adapt a LangChain tool.

    LangChain does not declare whether a tool sends or changes data, so `egress` and `writes` are assumed to be true. The tool's
    `metadata` may override `egress`, `writes`, `requires_approval` and `timeout_s`.
    """
    overrides = {name: value for name, value in (tool.metadata or {}).items() if name in _METADATA_FIELDS}
    spec = ToolSpec(
        tool.name, tool.description, _schema(tool.tool_call_schema), "langchain", **{"egress": True, "writes": True, **overrides}
    )
    return Tool(spec, _runner(tool))


def _schema(arguments: Any) -> dict[str, Any]:
    """Return the JSON schema of a tool's arguments. LangChain declares them as a JSON schema, or a model of Pydantic 2 or 1."""
    if isinstance(arguments, dict):
        return arguments
    schema: dict[str, Any] = arguments.model_json_schema() if hasattr(arguments, "model_json_schema") else arguments.schema()
    return schema


def _runner(tool: "BaseTool") -> Any:
    def run(values: Mapping[str, Any], context: ToolContext) -> Any:  # noqa: ARG001 - LangChain tools get no context
        has_sync = getattr(tool, "func", ...) is not None
        return tool.invoke(dict(values)) if has_sync else tool.ainvoke(dict(values))

    return run
