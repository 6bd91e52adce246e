"""The client's tools as functions, which is the kind of tool that every vendor has.

A free-form tool takes text: it becomes a function whose only parameter is `input`. A tool of a namespace becomes the function
`namespace.tool`. The client's own names have no dot, and vendors receive another name (`parley.llm.vendors.tool_calls`), so that
the name of a call tells which tool it belongs to.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from functions.chat.responses_api.schemas import (
    AllowedToolsIn,
    ChosenToolIn,
    CustomToolIn,
    FunctionToolIn,
    NamespaceToolIn,
    ResponseIn,
    ResponseToolIn,
)
from parley.errors import InvalidInput
from parley.llm.messages import ToolChoice, ToolDefinition

_NO_PARAMETERS = {"type": "object", "properties": {}}
_FREE_FORM = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"], "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class ClientTools:
    """The functions offered to the model, whether it must call one, and the names of those that stand for a free-form tool."""

    definitions: Sequence[ToolDefinition]
    choice: ToolChoice
    free_form: frozenset[str]

    @classmethod
    def of(cls, body: ResponseIn) -> "ClientTools":
        """Convert the tools of a request. Raises InvalidInput if `tool_choice` does not match them."""
        offered = dict(_definitions(body.tools or ()))
        free_form = frozenset(free_form_names(body.tools or ()))
        choice = body.tool_choice
        if choice == "required" and not offered:
            raise InvalidInput("requires at least one tool", loc=("body", "tool_choice"))
        if isinstance(choice, ChosenToolIn):
            return cls([_named(offered, choice.name)], "required", free_form)
        if isinstance(choice, AllowedToolsIn):
            return cls([_named(offered, tool.name) for tool in choice.tools], choice.mode, free_form)
        return cls(list(offered.values()), choice or "auto", free_form)


def qualified_name(name: str, namespace: str | None) -> str:
    """Return the name of the function for a tool of the client."""
    return f"{namespace}.{name}" if namespace else name


def client_name(name: str) -> tuple[str, str | None]:
    """Return the name of the client's tool, and its namespace, for the name of a function."""
    namespace, _, own = name.rpartition(".")
    return own, namespace or None


def free_form_names(tools: Sequence[ResponseToolIn], namespace: str | None = None) -> Iterator[str]:
    """Yield the names of the functions that stand for free-form tools."""
    for tool in tools:
        if isinstance(tool, CustomToolIn):
            yield qualified_name(tool.name, namespace)
        elif isinstance(tool, NamespaceToolIn):
            yield from free_form_names(tool.tools, tool.name)


def _definitions(tools: Sequence[ResponseToolIn], namespace: str | None = None) -> Iterator[tuple[str, ToolDefinition]]:
    for tool in tools:
        match tool:
            case FunctionToolIn():
                name = qualified_name(tool.name, namespace)
                parameters = tool.parameters or _NO_PARAMETERS
                yield name, ToolDefinition(name, tool.description or "", parameters, strict=bool(tool.strict))
            case CustomToolIn():
                name = qualified_name(tool.name, namespace)
                yield name, ToolDefinition(name, _free_form_description(tool), _FREE_FORM)
            case NamespaceToolIn():
                yield from _definitions(tool.tools, tool.name)


def _free_form_description(tool: CustomToolIn) -> str:
    """Return the description with the grammar, which the model must follow by itself."""
    if tool.format is None or not tool.format.definition:
        return tool.description or ""
    grammar = f"`input` must follow this {tool.format.syntax or ''} grammar:\n{tool.format.definition}"
    return f"{tool.description}\n\n{grammar}" if tool.description else grammar


def _named(offered: dict[str, ToolDefinition], name: str) -> ToolDefinition:
    if name not in offered:
        raise InvalidInput(f"unknown tool {name!r}", loc=("body", "tool_choice"), evidence="unknown tool")
    return offered[name]
