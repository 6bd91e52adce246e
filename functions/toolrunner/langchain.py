"""Tools of LangChain's, as they are. Their package is imported by the plugins that bring them, never from here before."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

from parley.tools.spec import Tool, ToolContext, ToolSpec

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool


def is_langchain_tool(thing: object) -> "TypeGuard[BaseTool]":
    """Say whether it is a tool of LangChain's: there is none where nobody has imported it."""
    library = sys.modules.get("langchain_core.tools.base")
    return library is not None and isinstance(thing, library.BaseTool)


def from_langchain(tool: "BaseTool") -> Tool:
    """Return it as a tool of ours.

    LangChain does not say what a tool reaches, so it counts as one that sends out and writes; `metadata` with `egress`,
    `writes`, `requires_approval` or `timeout_s` says otherwise.
    """
    said = {name: value for name, value in (tool.metadata or {}).items() if name in _METADATA_FIELDS}
    spec = ToolSpec(tool.name, tool.description, _schema(tool.tool_call_schema), "langchain", **{"egress": True, "writes": True, **said})
    return Tool(spec, _runner(tool))


def _schema(arguments: Any) -> dict[str, Any]:
    """Return the JSON schema of what LangChain keeps as one, as a model of Pydantic's, or as one of its first version's."""
    if isinstance(arguments, dict):
        return arguments
    schema: dict[str, Any] = arguments.model_json_schema() if hasattr(arguments, "model_json_schema") else arguments.schema()
    return schema


_METADATA_FIELDS = {"egress", "writes", "requires_approval", "timeout_s"}


def _runner(tool: "BaseTool") -> Any:
    def run(given: Mapping[str, Any], call: ToolContext) -> Any:  # noqa: ARG001 - theirs know no user
        has_sync = getattr(tool, "func", ...) is not None
        return tool.invoke(dict(given)) if has_sync else tool.ainvoke(dict(given))

    return run
