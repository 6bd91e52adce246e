"""From what OpenAI's clients send to a request in our words."""

import json
from collections.abc import Iterator, Sequence

from functions.chat.attaching import MOST_IMAGES
from functions.chat.compat.message_schemas import CallIn, ImageIn, MessageIn, RefusalIn, TextIn
from functions.chat.compat.schemas import CompletionIn, NamedToolIn, ToolIn
from parley.errors import InvalidInput
from parley.llm import messages as llm

_NOTHING = {"type": "object", "properties": {}}


def request_of(body: CompletionIn) -> llm.ModelRequest:
    """Return the request. Raises InvalidInput where messages do not fit each other, or tools their choice."""
    system = "\n\n".join(_words(message) for message in body.messages if message.role in ("system", "developer"))
    messages = list(_messages(body.messages))
    if not messages:  # all was said by the system: some clients mean it as the question
        messages, system = [llm.Message("user", system)], ""
    tools, choice = _tools(body)
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
    if not (words := _words(last)):
        raise InvalidInput("a message needs words", loc=(*place, "content"))
    images = [part for part in _parts(last, place) if isinstance(part, llm.Image)]
    if len(images) > MOST_IMAGES:
        raise InvalidInput(f"in a stored conversation, a message has {MOST_IMAGES} images at most", loc=(*place, "content"))
    return words, images


def _messages(messages: Sequence[MessageIn]) -> Iterator[llm.Message]:
    """Yield the conversation; the results of one round of tools are one message."""
    results: list[llm.ToolResult] = []
    awaited: set[str] = set()
    for index, message in enumerate(messages):
        place = ("body", "messages", index)
        if message.role == "tool":
            results.append(_result(message, awaited, place))
            continue
        if results:
            yield llm.Message("tool", results)
            results = []
        if message.role in ("system", "developer"):
            continue
        _check_answered(awaited, place)
        said = llm.Message("user" if message.role == "user" else "assistant", list(_parts(message, place)))
        awaited = {part.id for part in said.parts if isinstance(part, llm.ToolCall)}
        yield said
    if results:
        yield llm.Message("tool", results)
    _check_answered(awaited, ("body", "messages"))


def _result(message: MessageIn, awaited: set[str], place: tuple[str | int, ...]) -> llm.ToolResult:
    if message.tool_call_id not in awaited:
        raise InvalidInput("a tool's message must answer a call of the message before, by its id", loc=(*place, "tool_call_id"))
    awaited.discard(message.tool_call_id)
    return llm.ToolResult(message.tool_call_id, _words(message))


def _check_answered(awaited: set[str], place: tuple[str | int, ...]) -> None:
    if awaited:
        raise InvalidInput(f"these calls of tools have no answer: {', '.join(sorted(awaited))}", loc=place)


def _parts(message: MessageIn, place: tuple[str | int, ...]) -> Iterator[llm.Part]:
    if isinstance(message.content, list):
        for index, part in enumerate(message.content):
            yield _part(part, message.role, (*place, "content", index))
    elif words := message.content or message.refusal:
        yield llm.Text(words)
    elif not message.tool_calls and message.content is None:
        raise InvalidInput("a message needs content", loc=(*place, "content"))
    for index, call in enumerate(message.tool_calls or ()):
        yield _call(call, message.role, (*place, "tool_calls", index))


def _part(part: TextIn | RefusalIn | ImageIn, role: str, place: tuple[str | int, ...]) -> llm.Part:
    match part:
        case TextIn():
            return llm.Text(part.text)
        case RefusalIn():
            return llm.Text(part.refusal)
        case ImageIn() if role != "user":
            raise InvalidInput("only the user's messages have images", loc=place)
    try:
        return llm.Image.from_data_url(part.image_url.url)
    except InvalidInput as exc:
        raise InvalidInput(str(exc.errors[0]["msg"]), loc=(*place, "image_url", "url")) from exc


def _call(call: CallIn, role: str, place: tuple[str | int, ...]) -> llm.ToolCall:
    if role != "assistant":
        raise InvalidInput("only the assistant's messages have calls of tools", loc=place)
    try:
        if isinstance(json.loads(call.function.arguments or "{}"), dict):
            return llm.ToolCall(call.id, call.function.name, call.function.arguments or "{}")
    except (ValueError, RecursionError):
        pass
    raise InvalidInput("arguments are the text of a JSON object", loc=(*place, "function", "arguments"))


def _words(message: MessageIn) -> str:
    if isinstance(message.content, list):
        return "".join(part.text for part in message.content if isinstance(part, TextIn))
    return message.content or ""


def _tools(body: CompletionIn) -> tuple[list[llm.ToolDefinition], llm.ToolChoice]:
    """Return the tools and how they may be used: one that is named is the only one, and required."""
    choice, offered = body.tool_choice, [_tool(tool) for tool in body.tools or ()]
    if choice == "required" and not offered:
        raise InvalidInput("there are no tools to choose from", loc=("body", "tool_choice"))
    if not isinstance(choice, NamedToolIn):
        return offered, choice or "auto"
    named = [tool for tool in offered if tool.name == choice.function.name]
    if not named:
        raise InvalidInput(f"there is no tool {choice.function.name!r}", loc=("body", "tool_choice"))
    return named, "required"


def _tool(tool: ToolIn) -> llm.ToolDefinition:
    return llm.ToolDefinition(tool.function.name, tool.function.description or "", tool.function.parameters or _NOTHING)
