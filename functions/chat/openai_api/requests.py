"""Convert requests of OpenAI's clients to LLM requests."""

import json
from collections.abc import Iterator, Sequence

from functions.chat.openai_api.schemas import (
    CompletionIn,
    ImagePartIn,
    MessageIn,
    NamedToolIn,
    RefusalPartIn,
    TextPartIn,
    ToolCallIn,
    ToolIn,
)
from functions.chat.turn.images import MAX_IMAGES
from parley.errors import InvalidInput
from parley.llm import messages as llm

_NO_PARAMETERS = {"type": "object", "properties": {}}


def to_request(body: CompletionIn) -> llm.ModelRequest:
    """Return the request. Raises InvalidInput where messages do not fit each other, or tools their choice."""
    system = "\n\n".join(_text(message) for message in body.messages if message.role in ("system", "developer"))
    messages = list(_to_messages(body.messages))
    if not messages:  # all was said by the system: some clients mean it as the question
        messages, system = [llm.Message("user", system)], ""
    tools, choice = _to_tools(body)
    return llm.ModelRequest(
        messages,
        system=system or None,
        max_output_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=body.temperature,
        tools=tools,
        tool_choice=choice,
        output=body.response_format.output() if body.response_format else None,
    )


def last_question(body: CompletionIn) -> tuple[str, list[llm.Image]]:
    """Return the words and the images of the last message, which must be the user's and have words."""
    last, place = body.messages[-1], ("body", "messages", len(body.messages) - 1)
    if last.role != "user":
        raise InvalidInput("in a stored conversation, the last message must be the user's", loc=(*place, "role"))
    if not (text := _text(last)):
        raise InvalidInput("a message needs words", loc=(*place, "content"))
    images = [part for part in _to_parts(last, place) if isinstance(part, llm.Image)]
    if len(images) > MAX_IMAGES:
        raise InvalidInput(f"in a stored conversation, a message has {MAX_IMAGES} images at most", loc=(*place, "content"))
    return text, images


def _to_messages(messages: Sequence[MessageIn]) -> Iterator[llm.Message]:
    """Yield the conversation; the results of one round of tools are one message."""
    results: list[llm.ToolResult] = []
    awaited: set[str] = set()
    for index, message in enumerate(messages):
        place = ("body", "messages", index)
        if message.role == "tool":
            results.append(_to_tool_result(message, awaited, place))
            continue
        if results:
            yield llm.Message("tool", results)
            results = []
        if message.role in ("system", "developer"):
            continue
        _require_results(awaited, place)
        said = llm.Message("user" if message.role == "user" else "assistant", list(_to_parts(message, place)))
        awaited = {part.id for part in said.parts if isinstance(part, llm.ToolCall)}
        yield said
    if results:
        yield llm.Message("tool", results)
    _require_results(awaited, ("body", "messages"))


def _to_tool_result(message: MessageIn, awaited: set[str], place: tuple[str | int, ...]) -> llm.ToolResult:
    if message.tool_call_id not in awaited:
        raise InvalidInput("a tool's message must answer a call of the message before, by its id", loc=(*place, "tool_call_id"))
    awaited.discard(message.tool_call_id)
    return llm.ToolResult(message.tool_call_id, _text(message))


def _require_results(awaited: set[str], place: tuple[str | int, ...]) -> None:
    if awaited:
        raise InvalidInput(f"these calls of tools have no answer: {', '.join(sorted(awaited))}", loc=place)


def _to_parts(message: MessageIn, place: tuple[str | int, ...]) -> Iterator[llm.Part]:
    if isinstance(message.content, list):
        for index, part in enumerate(message.content):
            yield _to_part(part, message.role, (*place, "content", index))
    elif text := message.content or message.refusal:
        yield llm.Text(text)
    elif not message.tool_calls and message.content is None:
        raise InvalidInput("a message needs content", loc=(*place, "content"))
    for index, call in enumerate(message.tool_calls or ()):
        yield _to_tool_call(call, message.role, (*place, "tool_calls", index))


def _to_part(part: TextPartIn | RefusalPartIn | ImagePartIn, role: str, place: tuple[str | int, ...]) -> llm.Part:
    match part:
        case TextPartIn():
            return llm.Text(part.text)
        case RefusalPartIn():
            return llm.Text(part.refusal)
        case ImagePartIn() if role != "user":
            raise InvalidInput("only the user's messages have images", loc=place)
    try:
        return llm.Image.from_data_url(part.image_url.url)
    except InvalidInput as exc:
        raise InvalidInput(str(exc.errors[0]["msg"]), loc=(*place, "image_url", "url")) from exc


def _to_tool_call(call: ToolCallIn, role: str, place: tuple[str | int, ...]) -> llm.ToolCall:
    if role != "assistant":
        raise InvalidInput("only the assistant's messages have calls of tools", loc=place)
    try:
        if isinstance(json.loads(call.function.arguments or "{}"), dict):
            return llm.ToolCall(call.id, call.function.name, call.function.arguments or "{}")
    except (ValueError, RecursionError):
        pass
    raise InvalidInput("arguments are the text of a JSON object", loc=(*place, "function", "arguments"))


def _text(message: MessageIn) -> str:
    if isinstance(message.content, list):
        return "".join(part.text for part in message.content if isinstance(part, TextPartIn))
    return message.content or ""


def _to_tools(body: CompletionIn) -> tuple[list[llm.ToolDefinition], llm.ToolChoice]:
    """Return the tools and how they may be used: one that is named is the only one, and required."""
    choice, offered = body.tool_choice, [_to_tool(tool) for tool in body.tools or ()]
    if choice == "required" and not offered:
        raise InvalidInput("there are no tools to choose from", loc=("body", "tool_choice"))
    if not isinstance(choice, NamedToolIn):
        return offered, choice or "auto"
    named = [tool for tool in offered if tool.name == choice.function.name]
    if not named:
        raise InvalidInput(f"there is no tool {choice.function.name!r}", loc=("body", "tool_choice"))
    return named, "required"


def _to_tool(tool: ToolIn) -> llm.ToolDefinition:
    return llm.ToolDefinition(tool.function.name, tool.function.description or "", tool.function.parameters or _NO_PARAMETERS)
