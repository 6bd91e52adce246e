"""Convert OpenAI's requests to LLM requests."""

from collections.abc import Iterator, Sequence

from functions.chat.completions.schemas import RefusalPartIn
from functions.chat.openai_api.schemas import (
    CompletionIn,
    ImagePartIn,
    MessageIn,
    NamedToolIn,
    TextPartIn,
    ToolCallIn,
    ToolIn,
)
from functions.chat.turn.images import MAX_IMAGES
from functions.chat.turn.question import MAX_MESSAGE_CHARACTERS
from parley.errors import InvalidInput
from parley.llm import messages as llm

_SYSTEM_ROLES = ("system", "developer")
_NO_PARAMETERS = {"type": "object", "properties": {}}


def to_request(body: CompletionIn) -> llm.ModelRequest:
    """Convert a request.

    Raises InvalidInput if tool results do not match the tool calls before them, or `tool_choice` does not match `tools`.
    """
    first = next((index for index, message in enumerate(body.messages) if message.role not in _SYSTEM_ROLES), len(body.messages))
    system = "\n\n".join(map(_text, body.messages[:first]))
    messages = list(_to_messages(body.messages, first))
    if all(message.role == "system" for message in messages):  # some clients send their question as the system message
        messages, system = [llm.Message("user", system)], ""
    tools, choice = _to_tools(body)
    return llm.ModelRequest(
        messages,
        system=system or None,
        max_output_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=body.temperature,
        tools=tools,
        tool_choice=choice,
        client_runs_tools=True,
        shows_reasoning=True,
        shows_call_deltas=bool(body.stream),
        options=body.options(),
        output=body.response_format.output() if body.response_format else None,
    )


def last_question(body: CompletionIn) -> tuple[str, list[llm.Image]]:
    """Return the text and images of the last message. Raises InvalidInput if the message is not the user's or has no text."""
    last, loc = body.messages[-1], ("body", "messages", len(body.messages) - 1)
    if last.role != "user":
        raise InvalidInput("with X-Conversation-Id, the last message must be the user's", loc=(*loc, "role"))
    if not (text := _text(last)):
        raise InvalidInput("the message must contain text", loc=(*loc, "content"))
    if len(text) > MAX_MESSAGE_CHARACTERS:
        msg = f"with X-Conversation-Id, a message may have at most {MAX_MESSAGE_CHARACTERS} characters; upload longer texts as documents"
        raise InvalidInput(msg, loc=(*loc, "content"))
    images = [part for part in _to_parts(last, loc) if isinstance(part, llm.Image)]
    if len(images) > MAX_IMAGES:
        raise InvalidInput(f"with X-Conversation-Id, a message may have at most {MAX_IMAGES} images", loc=(*loc, "content"))
    return text, images


def _to_messages(messages: Sequence[MessageIn], first: int) -> Iterator[llm.Message]:
    """Yield the messages from number `first` on; consecutive tool results become one message."""
    results: list[llm.ToolResult] = []
    unanswered: set[str] = set()
    for index, message in enumerate(messages[first:], start=first):
        loc = ("body", "messages", index)
        if message.role == "tool":
            results.append(_to_tool_result(message, unanswered, loc))
            continue
        if results:
            yield llm.Message("tool", results)
            results = []
        if message.role in _SYSTEM_ROLES:
            yield llm.Message("system", _text(message), message.name)
            continue
        _require_results(unanswered, loc)
        converted = llm.Message(
            "user" if message.role == "user" else "assistant", list(_to_parts(message, loc)), message.name, message.reasoning_content
        )
        unanswered = {part.id for part in converted.parts if isinstance(part, llm.ToolCall)}
        yield converted
    if results:
        yield llm.Message("tool", results)
    _require_results(unanswered, ("body", "messages"))


def _to_tool_result(message: MessageIn, unanswered: set[str], loc: tuple[str | int, ...]) -> llm.ToolResult:
    if message.tool_call_id not in unanswered:
        raise InvalidInput("must be the id of an unanswered tool call in the assistant message before", loc=(*loc, "tool_call_id"))
    unanswered.discard(message.tool_call_id)
    return llm.ToolResult(message.tool_call_id, _text(message))


def _require_results(unanswered: set[str], loc: tuple[str | int, ...]) -> None:
    if unanswered:
        msg = f"these tool calls have no result: {', '.join(sorted(unanswered))}"
        raise InvalidInput(msg, loc=loc, evidence=f"{len(unanswered)} tool calls have no result")


def _to_parts(message: MessageIn, loc: tuple[str | int, ...]) -> Iterator[llm.Part]:
    if isinstance(message.content, list):
        for index, part in enumerate(message.content):
            yield _to_part(part, message.role, (*loc, "content", index))
    elif text := message.content or message.refusal:
        yield llm.Text(text)
    elif not message.tool_calls and message.content is None:
        raise InvalidInput("the message must have content", loc=(*loc, "content"))
    for index, call in enumerate(message.tool_calls or ()):
        yield _to_tool_call(call, message.role, (*loc, "tool_calls", index))


def _to_part(part: TextPartIn | RefusalPartIn | ImagePartIn, role: str, loc: tuple[str | int, ...]) -> llm.Part:
    match part:
        case TextPartIn():
            return llm.Text(part.text)
        case RefusalPartIn():
            return llm.Text(part.refusal)
        case ImagePartIn() if role != "user":
            raise InvalidInput("only user messages may have images", loc=loc)
    try:
        return llm.Image.from_data_url(part.image_url.url, detail=part.image_url.detail or "auto")
    except InvalidInput as exc:
        raise InvalidInput(str(exc.errors[0]["msg"]), loc=(*loc, "image_url", "url")) from exc


def _to_tool_call(call: ToolCallIn, role: str, loc: tuple[str | int, ...]) -> llm.ToolCall:
    if role != "assistant":
        raise InvalidInput("only assistant messages may have tool calls", loc=loc)
    # As the model wrote them: arguments that are not JSON, too, because the client may have told the model so.
    return llm.ToolCall(call.id, call.function.name, call.function.arguments or "{}")


def _text(message: MessageIn) -> str:
    if isinstance(message.content, list):
        return "".join(part.text for part in message.content if isinstance(part, TextPartIn))
    return message.content or ""


def _to_tools(body: CompletionIn) -> tuple[list[llm.ToolDefinition], llm.ToolChoice]:
    """Return the tools and the tool choice. If `tool_choice` names a tool, only that tool is offered, and the model must call it."""
    choice, offered = body.tool_choice, [_to_tool(tool) for tool in body.tools or ()]
    if choice == "required" and not offered:
        raise InvalidInput("requires at least one tool", loc=("body", "tool_choice"))
    if not isinstance(choice, NamedToolIn):
        return offered, choice or "auto"
    named = [tool for tool in offered if tool.name == choice.function.name]
    if not named:
        raise InvalidInput(f"unknown tool {choice.function.name!r}", loc=("body", "tool_choice"), evidence="unknown tool")
    return named, "required"


def _to_tool(tool: ToolIn) -> llm.ToolDefinition:
    function = tool.function
    return llm.ToolDefinition(
        function.name, function.description or "", function.parameters or _NO_PARAMETERS, strict=bool(function.strict)
    )
