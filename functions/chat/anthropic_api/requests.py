"""Convert requests of Anthropic's Messages API to LLM requests."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from functions.chat.anthropic_api.blocks import (
    Base64SourceIn,
    ContentBlockIn,
    DocumentBlockIn,
    ImageBlockIn,
    RedactedThinkingBlockIn,
    SearchResultBlockIn,
    TextBlockIn,
    ThinkingBlockIn,
    ToolResultBlockIn,
    ToolUseBlockIn,
    document_text,
    text_of,
)
from functions.chat.anthropic_api.schemas import AnthropicMessageIn, CountTokensIn, MessagesIn
from functions.chat.completions.opaque_content import unpack_thought
from parley.errors import InvalidInput
from parley.llm import messages as llm

type Loc = tuple[str | int, ...]
type NumberedMessages = Sequence[tuple[int, AnthropicMessageIn]]

# The effort of OpenAI's API that comes closest.
_REASONING_EFFORTS = {"xhigh": "high", "max": "high"}


def to_request(body: MessagesIn) -> llm.ModelRequest:
    """Convert a request. Raises InvalidInput in the same cases as `to_prompt`."""
    request, choice = to_prompt(body), body.tool_choice
    effort = body.output_config.effort if body.output_config else None
    return replace(
        request,
        max_output_tokens=body.max_tokens,
        # The API's default, which models without a temperature take, too.
        temperature=None if body.temperature == 1 else body.temperature,
        client_runs_tools=True,
        shows_reasoning=_wants_reasoning(body),
        shows_call_deltas=bool(body.stream),
        options=llm.GenerationOptions(
            top_p=None if body.top_p == 1 else body.top_p,
            top_k=body.top_k or None,
            reasoning_effort=_REASONING_EFFORTS.get(effort, effort) if effort else None,
            parallel_tool_calls=False if choice and choice.disable_parallel_tool_use else None,
        ),
        thinking=_to_thinking(body, effort),
        caches_messages=body.caches_messages,
    )


def to_prompt(body: CountTokensIn) -> llm.ModelRequest:
    """Convert the messages, the tools and the output format of a request.

    Raises InvalidInput if tool results do not match the tool calls before them, or `tool_choice` does not match `tools`.
    """
    tools, choice = _to_tools(body)
    return llm.ModelRequest(
        list(_to_messages(body.messages)),
        system=text_of(body.system) if body.system else None,
        tools=tools,
        tool_choice=choice,
        output=body.output,
    )


def _wants_reasoning(body: MessagesIn) -> bool:
    thinking = body.thinking
    return thinking is not None and thinking.type != "disabled" and thinking.display != "omitted"


def _to_thinking(body: MessagesIn, effort: str | None) -> llm.Thinking | None:
    if body.thinking is None:
        return llm.Thinking(effort=effort) if effort else None
    return llm.Thinking(body.thinking.type, body.thinking.budget_tokens, body.thinking.display, effort)


def _to_messages(messages: Sequence[AnthropicMessageIn]) -> Iterator[llm.Message]:
    """Yield the messages. Consecutive answers become one message, and so do the tool results of consecutive user messages."""
    unanswered: set[str] = set()
    for role, group in groupby(enumerate(messages), key=lambda numbered: numbered[1].role):
        numbered = list(group)
        if role == "user":
            yield from _user_messages(numbered, unanswered)
            unanswered = set()
        elif role == "assistant":
            answer = _answer(numbered)
            unanswered = {part.id for part in answer.parts if isinstance(part, llm.ToolCall)}
            if answer.parts:
                yield answer
        else:
            _require_results(unanswered, ("body", "messages", numbered[0][0]))
            yield from (llm.Message("system", text_of(_texts(index, message))) for index, message in numbered)
    _require_results(unanswered, ("body", "messages"))


def _user_messages(numbered: NumberedMessages, unanswered: set[str]) -> Iterator[llm.Message]:
    """Yield the tool results as one message, then what the user said. Images of results are shown after them."""
    results, said = list[llm.ToolResult](), list[llm.Message]()
    for index, message in numbered:
        parts = list[llm.Part]()
        for loc, block in _located(index, message):
            if isinstance(block, ToolResultBlockIn):
                result, images = _to_result(block, unanswered, loc)
                results.append(result)
                parts += images
            else:
                parts.append(_to_user_part(block, loc))
        if parts:
            said.append(llm.Message("user", parts))
    _require_results(unanswered, ("body", "messages", numbered[0][0]))
    if results:
        yield llm.Message("tool", results)
    yield from said


def _answer(numbered: NumberedMessages) -> llm.Message:
    parts, reasoning = list[llm.Part](), list[str]()
    for index, message in numbered:
        for loc, block in _located(index, message):
            match block:
                case TextBlockIn():
                    parts.append(llm.Text(block.text))
                case ToolUseBlockIn():
                    parts.append(llm.ToolCall(block.id, block.name, json.dumps(block.input, ensure_ascii=False)))
                case ThinkingBlockIn() | RedactedThinkingBlockIn():
                    sealed = block.signature if isinstance(block, ThinkingBlockIn) else block.data
                    reasoning += [block.thinking] if isinstance(block, ThinkingBlockIn) else []
                    parts += [thought] if (thought := unpack_thought(sealed)) else []
                case _:
                    raise InvalidInput(f"a message of the assistant cannot have a block of the type {block.type}", loc=loc)
    return llm.Message("assistant", parts, reasoning="".join(reasoning) or None)


def _to_user_part(block: ContentBlockIn, loc: Loc) -> llm.Part:
    match block:
        case TextBlockIn():
            return llm.Text(block.text)
        case DocumentBlockIn() | SearchResultBlockIn():
            return llm.Text(document_text(block))
        case ImageBlockIn():
            return _to_image(block, loc)
    raise InvalidInput(f"a message of the user cannot have a block of the type {block.type}", loc=loc)


def _to_result(block: ToolResultBlockIn, unanswered: set[str], loc: Loc) -> tuple[llm.ToolResult, list[llm.Part]]:
    """Return the result as text, and its images with a line that names their call: results of most vendors' tools are texts."""
    if block.tool_use_id not in unanswered:
        raise InvalidInput("must be the id of an unanswered tool_use block in the message before", loc=(*loc, "tool_use_id"))
    unanswered.discard(block.tool_use_id)
    texts, images = list[str](), list[llm.Part]()
    for index, part in enumerate(block.content if isinstance(block.content, list) else ()):
        match part:
            case TextBlockIn():
                texts.append(part.text)
            case ImageBlockIn():
                images.append(_to_image(part, (*loc, "content", index)))
            case DocumentBlockIn() | SearchResultBlockIn():
                texts.append(document_text(part))
    if images:
        texts.append("The images of this result follow in the user's next message.")
        images.insert(0, llm.Text(f"Images of the result of the tool call {block.tool_use_id}:"))
    text = block.content if isinstance(block.content, str) else "\n\n".join(texts)
    return llm.ToolResult(block.tool_use_id, text, is_error=bool(block.is_error)), images


def _to_image(block: ImageBlockIn, loc: Loc) -> llm.Image:
    source = block.source
    url = f"data:{source.media_type};base64,{source.data}" if isinstance(source, Base64SourceIn) else source.url
    try:
        return llm.Image.from_data_url(url)
    except InvalidInput as exc:
        raise InvalidInput(str(exc.errors[0]["msg"]), loc=(*loc, "source")) from exc


def _texts(index: int, message: AnthropicMessageIn) -> list[TextBlockIn]:
    """Return the blocks of a system message. Raises InvalidInput for any that is not a text."""
    texts = list[TextBlockIn]()
    for loc, block in _located(index, message):
        if not isinstance(block, TextBlockIn):
            raise InvalidInput(f"a system message cannot have a block of the type {block.type}", loc=loc)
        texts.append(block)
    return texts


def _located(index: int, message: AnthropicMessageIn) -> Iterator[tuple[Loc, ContentBlockIn]]:
    place: Loc = ("body", "messages", index, "content")
    for number, block in enumerate(message.blocks):
        yield place if isinstance(message.content, str) else (*place, number), block


def _require_results(unanswered: set[str], loc: Loc) -> None:
    if unanswered:
        msg = f"these tool_use blocks have no tool_result in the next message: {', '.join(sorted(unanswered))}"
        raise InvalidInput(msg, loc=loc, evidence=f"{len(unanswered)} tool calls have no result")


def _to_tools(body: CountTokensIn) -> tuple[list[llm.ToolDefinition], llm.ToolChoice]:
    """Return the tools and the tool choice. If `tool_choice` names a tool, only that tool is offered, and the model must call it."""
    offered = [llm.ToolDefinition(tool.name, tool.description or "", tool.input_schema) for tool in body.tools or ()]
    choice = body.tool_choice
    match choice.type if choice else "auto":
        case "none":
            return offered, "none"
        case "any" if not offered:
            raise InvalidInput("requires at least one tool", loc=("body", "tool_choice"))
        case "any":
            return offered, "required"
        case "tool":
            named = [tool for tool in offered if choice and tool.name == choice.name]
            if not named:
                raise InvalidInput("must name one of the tools", loc=("body", "tool_choice", "name"))
            return named, "required"
    return offered, "auto"
