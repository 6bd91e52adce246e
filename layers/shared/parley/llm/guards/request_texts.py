"""All texts of a request, and the strings of a JSON text, passed through one function."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

from parley.llm.messages import Message, ModelRequest, OutputSchema, Part, Source, Text, ToolCall, ToolDefinition, ToolResult

type Change = Callable[[str], str]


def changed_json(text: str, change: Change) -> str:
    """Return a JSON text with its strings changed: escapes would hide a word. A text that is not JSON is changed as it is."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return change(text)
    changed = _changed_value(value, change)
    return text if changed == value else json.dumps(changed, ensure_ascii=False)


def _changed_value(value: object, change: Change) -> object:
    match value:
        case str():
            return change(value)
        case list():
            return [_changed_value(item, change) for item in value]
        case dict():
            return {change(str(key)): _changed_value(item, change) for key, item in value.items()}
    return value


def changed_request(request: ModelRequest, change: Change, change_newest: Change | None = None) -> ModelRequest:
    """Return the request with all its texts changed, those of a user's message at its end by `change_newest`."""
    changed = [_changed_message(message, change) for message in request.messages[:-1]]
    for newest in request.messages[-1:]:
        changed.append(_changed_message(newest, change_newest or change if newest.role == "user" else change))
    return replace(
        request,
        messages=changed,
        system=request.system and change(request.system),
        tools=[_changed_tool(tool, change) for tool in request.tools],
        output=request.output and _changed_output(request.output, change),
        facts=[change(fact) for fact in request.facts],
        passages=[change(passage) for passage in request.passages],
        sources=[Source(source.number, change(source.title), change(source.text)) for source in request.sources],
    )


def _changed_message(message: Message, change: Change) -> Message:
    content = change(message.content) if isinstance(message.content, str) else [_changed_part(part, change) for part in message.content]
    # A name takes no placeholder, because vendors limit its characters.
    name = message.name if message.name and change(message.name) == message.name else None
    return Message(message.role, content, name, message.reasoning and change(message.reasoning))


def _changed_part(part: Part, change: Change) -> Part:
    match part:
        case Text(text):
            return Text(change(text))
        case ToolCall(id, name, arguments):
            return ToolCall(id, name, changed_json(arguments, change))
        case ToolResult(call_id, text, is_error):
            return ToolResult(call_id, change(text), is_error)
    return part


def _changed_tool(tool: ToolDefinition, change: Change) -> ToolDefinition:
    parameters = cast("Mapping[str, object]", _changed_value(dict(tool.parameters), change))
    return replace(tool, description=change(tool.description), parameters=parameters)


def _changed_output(output: OutputSchema, change: Change) -> OutputSchema:
    return replace(output, schema=cast("Mapping[str, object]", _changed_value(dict(output.schema), change)))
