"""The request to the model: system prompt, as much history as fits, the question, and this turn's rounds.

Stored parts become LLM messages, results are cut to the token budget, and images of recent messages are shown again.
Images are fetched only when the request is sent, so that no transaction is open meanwhile.
"""

import json
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from functions.chat.turn.images import Images
from functions.chat.turn.question import Question
from functions.chat.turn.tools import TurnTool, truncate_result
from parley.db.conversations import Conversation
from parley.db.messages import HistoryMessage
from parley.db.turn.message_parts import MessagePart
from parley.llm import messages as llm
from parley.llm.candidates import Candidate, able_candidates
from parley.llm.errors import ContextTooLong, ModelCannot
from parley.llm.messages import ModelRequest
from parley.llm.model import Model
from parley.llm.prompts import quoted_source, untrusted_result
from parley.llm.tokens import BYTES_PER_TOKEN, PER_IMAGE, PER_MESSAGE, estimate_tokens
from parley.memory.window import fit_with_summary
from parley.tools.approval import taints

# Of so many messages before the question, images are shown again.
RECENT_MESSAGES_WITH_IMAGES = 4


IMAGE_NOTE = "[image]"


_LOST_IMAGE_NOTE = "[image: it cannot be read any more]"


@dataclass(frozen=True, slots=True)
class UnfetchedImage(llm.Image):
    """An image whose bytes are still to be fetched."""

    key: str = ""


def message_content(text: str, images: Sequence[MessagePart], *, are_shown: bool) -> str | list[llm.Part]:
    """Return a message's content: its images, or a note for each, and its text."""
    if not images or not are_shown:
        return "\n".join([*[IMAGE_NOTE for _ in images], *([text] if text else [])])
    shown: list[llm.Part] = [UnfetchedImage(image["media_type"], b"", image["key"]) for image in images]
    return [*shown, llm.Text(text)] if text else shown


def fetch_images(request: llm.ModelRequest, images: Images, known: MutableMapping[str, bytes | None]) -> llm.ModelRequest:
    """Return the request with the bytes of its images; those that are `known` are not fetched again.

    One that has gone, or cannot be read now, becomes a note.
    """
    return replace(request, messages=[_fetch_message_images(message, images, known) for message in request.messages])


def _fetch_message_images(message: llm.Message, images: Images, known: MutableMapping[str, bytes | None]) -> llm.Message:
    if not any(isinstance(part, UnfetchedImage) for part in message.parts):
        return message
    return replace(
        message, content=[_fetch_image(part, images, known) if isinstance(part, UnfetchedImage) else part for part in message.parts]
    )


def _fetch_image(part: UnfetchedImage, images: Images, known: MutableMapping[str, bytes | None]) -> llm.Part:
    if part.key not in known:
        known[part.key] = images.load(part.key)
    content = known[part.key]
    return llm.Text(_LOST_IMAGE_NOTE) if content is None else llm.Image(part.media_type, content)


_NO_RESULT = "Not run: the answer ended before."


# Some vendors take no user's message right behind a tool's.
_ENDED_NOTE = "(The answer ended here.)"


def answer_messages(parts: Sequence[MessagePart], *, with_thoughts: bool = False, max_bytes: int | None = None) -> list[llm.Message]:
    """Return an answer as messages, each call with its result; results are cut to `most_bytes` each. Sources are no words of it."""
    said_parts = [part for part in parts if part["type"] != "source"]
    return [
        message for said in _split_rounds(said_parts) for message in _round_messages(said, with_thoughts=with_thoughts, max_bytes=max_bytes)
    ]


def ended_answer_messages(parts: Sequence[MessagePart]) -> list[llm.Message]:
    """Return an answer that has ended as messages, the last of them the assistant's."""
    messages = answer_messages(parts)
    return [*messages, llm.Message("assistant", _ENDED_NOTE)] if messages and messages[-1].role == "tool" else messages


def message_tokens(message: llm.Message) -> int:
    """Return a generous guess of what a message takes."""
    images = sum(isinstance(part, llm.Image) for part in message.parts)
    return PER_MESSAGE + images * PER_IMAGE + sum(estimate_tokens(text) - PER_MESSAGE for text in _message_texts(message))


def _message_texts(message: llm.Message) -> Iterator[str]:
    for part in message.parts:
        match part:
            case llm.Text(text) | llm.ToolResult(_, text) | llm.Thought(_, text):
                yield text
            case llm.ToolCall(_, name, arguments):
                yield f"{name} {arguments}"


def _split_rounds(parts: Sequence[MessagePart]) -> Iterator[list[MessagePart]]:
    """Split behind each group of results."""
    said: list[MessagePart] = []
    for part in parts:
        if said and said[-1]["type"] == "tool_result" and part["type"] != "tool_result":
            yield said
            said = []
        said.append(part)
    if said:
        yield said


def _round_messages(said: list[MessagePart], *, with_thoughts: bool, max_bytes: int | None) -> Iterator[llm.Message]:
    spoken = [part for part in map(_assistant_part, said) if part and (with_thoughts or not isinstance(part, llm.Thought))]
    if spoken:
        yield llm.Message("assistant", spoken)
    results = {part["call_id"]: part for part in said if part["type"] == "tool_result"}
    calls = [part.id for part in spoken if isinstance(part, llm.ToolCall)]
    if calls:
        yield llm.Message("tool", [_tool_result(call_id, results.get(call_id), max_bytes) for call_id in calls])


def _assistant_part(part: MessagePart) -> llm.Part | None:
    match part:
        case {"type": "text", "text": text}:
            return llm.Text(text) if text else None
        case {"type": "thought", "origin": origin, "payload": payload}:
            return llm.Thought(origin, payload)
        case {"type": "tool_call", "call_id": call_id, "name": name, "arguments": arguments}:
            return llm.ToolCall(call_id, name, _compact_json(arguments))
    return None


def _tool_result(call_id: str, part: MessagePart | None, max_bytes: int | None) -> llm.ToolResult:
    if part is None:
        return llm.ToolResult(call_id, _NO_RESULT, is_error=True)
    content = part["content"] if max_bytes is None else truncate_result(part["content"], max_bytes=max_bytes)
    return llm.ToolResult(call_id, untrusted_result(content), is_error=not part["ok"])


def _compact_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


MAX_MEMORY_TOKENS, MAX_SOURCE_TOKENS = 1500, 4000


DEFAULT_SYSTEM_PROMPT = "You are a helpful assistant. Answer in the language of the question."


@dataclass(frozen=True, slots=True)
class PromptContext:
    """All that a turn may give to a model: what was said before the question, oldest first, the tools, the user's memory and sources.

    `summary` is what was said so far in short. Where it `remembers`, the window leaves room for facts and passages, and where the
    question asks documents, for sources; these are known later. `is_cut` says that more was said before `earlier` than is known here.
    """

    conversation: Conversation | None
    history: Sequence[HistoryMessage]
    question: Question
    offered: Sequence[TurnTool] = ()
    summary: str | None = None
    remembers: bool = False
    facts: Sequence[str] = ()
    passages: Sequence[str] = ()
    sources: Sequence[llm.Source] = ()
    is_history_truncated: bool = False

    def tools_for(self, model: Model) -> list[llm.ToolDefinition]:
        """Return what the model is offered: nothing if it cannot call tools, unless some were asked for by name."""
        if "tools" not in model.abilities and isinstance(self.question.tools, bool):
            return []
        return [llm.ToolDefinition(one.spec.name, one.spec.description, one.spec.parameters) for one in self.offered]

    @property
    def retrieved_tokens(self) -> int:
        """What facts, passages and sources take."""
        return sum(map(estimate_tokens, (*self.facts, *self.passages, *map(quoted_source, self.sources))))

    def is_tainted(self, parts_so_far: Sequence[MessagePart]) -> bool:
        """Whether text that nobody vouches for is in it, or in this turn's answer so far. What is not known counts as such."""
        parts = [*parts_so_far, *self.question.images, *(part for message in self.history for part in message.parts)]
        return self.is_history_truncated or any(map(taints, parts))


@dataclass(frozen=True, slots=True)
class _HistoryEntry:
    """A stored message as the model is given it."""

    messages: Sequence[llm.Message]
    tokens: int

    @classmethod
    def of(cls, stored: HistoryMessage, *, with_calls: bool, with_images: bool) -> "_HistoryEntry":
        """Expand an answer's calls, or leave them out; show a question's images, or tell that there were some."""
        if with_calls and any(part["type"] == "tool_call" for part in stored.parts):
            messages = ended_answer_messages(stored.parts)
            return cls(messages, sum(map(message_tokens, messages)))
        if images := stored.images:
            message = llm.Message(stored.role, message_content(stored.text, images, are_shown=with_images))
            return cls([message], message_tokens(message))
        return cls([llm.Message(stored.role, stored.text)] if stored.text else [], stored.tokens)


def build_request(
    context: PromptContext, candidate: Candidate, parts_so_far: Sequence[MessagePart] = (), *, may_call: bool = True
) -> llm.ModelRequest:
    """Build the request; `said` is what this turn's answer has so far. Without `may_call` the tools are shown, and none may be called.

    Results of this turn are cut where they would not fit. Raises ContextTooLong if the question does not fit the model,
    and ModelCannot if the answer has called tools and the model cannot.
    """
    question, model = context.question, candidate.model
    if "tools" not in model.abilities and any(part["type"] == "tool_call" for part in parts_so_far):
        raise ModelCannot(candidate.id, "tools")
    system, tools = (context.conversation and context.conversation.system_prompt) or DEFAULT_SYSTEM_PROMPT, context.tools_for(model)
    answer_tokens = min(question.max_output_tokens or model.max_output_tokens, model.max_output_tokens)
    room = model.context_tokens - answer_tokens
    question_message = llm.Message("user", message_content(question.text, question.images, are_shown=True))
    needed = estimate_tokens(system) + message_tokens(question_message) + tools_tokens(tools)
    found = context.retrieved_tokens
    current_answer = _current_answer(parts_so_far, room_tokens=room - needed - found)
    needed += sum(map(message_tokens, current_answer))
    if needed + found > room:
        raise ContextTooLong(candidate.id, tokens=needed + found, limit=max(room, 0))
    left = room - needed
    reserved = memory_tokens(context, room_tokens=left) + source_tokens(context, room_tokens=left)
    kept, summary_note = _fitting_history(context, model, budget_tokens=left - max(reserved, found))
    return llm.ModelRequest(
        [*(message for one in kept for message in one.messages), question_message, *current_answer],
        system=f"{system}{summary_note}",
        max_output_tokens=answer_tokens,
        temperature=question.temperature,
        tools=tools,
        tool_choice="auto" if may_call else "none",
        output=question.output,
        facts=context.facts,
        passages=context.passages,
        sources=context.sources,
    )


def memory_tokens(context: PromptContext, *, room_tokens: int) -> int:
    """Return how many tokens facts and passages may take of the room that question and rounds leave."""
    return min(MAX_MEMORY_TOKENS, max(room_tokens, 0) // 4) if context.remembers else 0


def source_tokens(context: PromptContext, *, room_tokens: int) -> int:
    """Return how many tokens sources may take of that room."""
    return min(MAX_SOURCE_TOKENS, max(room_tokens, 0) // 3) if context.question.documents else 0


@dataclass(frozen=True, slots=True)
class RetrievalBudget:
    """How many tokens memory and sources may take, and how many of the earlier messages the model is given anyway."""

    memory_tokens: int
    source_tokens: int
    kept: int


def retrieval_budget(context: PromptContext, candidate: Candidate) -> RetrievalBudget:
    """Return what room there is for what is looked up."""
    model, question = candidate.model, context.question
    system = (context.conversation and context.conversation.system_prompt) or DEFAULT_SYSTEM_PROMPT
    room = model.context_tokens - min(question.max_output_tokens or model.max_output_tokens, model.max_output_tokens)
    question_message = llm.Message("user", message_content(question.text, question.images, are_shown=True))
    room -= estimate_tokens(system) + message_tokens(question_message) + tools_tokens(context.tools_for(model))
    memory, sources = memory_tokens(context, room_tokens=room), source_tokens(context, room_tokens=room)
    return RetrievalBudget(memory, sources, len(_fitting_history(context, model, budget_tokens=room - memory - sources)[0]))


def _fitting_history(context: PromptContext, model: Model, *, budget_tokens: int) -> tuple[list[_HistoryEntry], str]:
    """Return what of the earlier messages fits, and what stands for the rest: images only of the newest, and only if the model can see."""
    history, with_calls = context.history, bool(context.tools_for(model))
    first_shown = len(history) - RECENT_MESSAGES_WITH_IMAGES if "images" in model.abilities else len(history)
    remembered = [
        _HistoryEntry.of(message, with_calls=with_calls, with_images=place >= first_shown) for place, message in enumerate(history)
    ]
    return fit_with_summary(remembered, context.summary, budget_tokens=budget_tokens)


def tools_tokens(tools: Sequence[llm.ToolDefinition]) -> int:
    """Guess what the declarations of tools take."""
    return sum(estimate_tokens(f"{tool.name} {tool.description} {json.dumps(dict(tool.parameters))}") for tool in tools)


def request_tokens(request: llm.ModelRequest, model: Model) -> int:
    """Guess what the request takes of a model's context, the answer's room with it."""
    answer_tokens = min(request.max_output_tokens or model.max_output_tokens, model.max_output_tokens)
    around = estimate_tokens(request.system or "") + tools_tokens(request.tools)
    around += sum(map(estimate_tokens, (*request.facts, *request.passages, *map(quoted_source, request.sources))))
    return answer_tokens + around + sum(map(message_tokens, request.messages))


def _current_answer(parts_so_far: Sequence[MessagePart], *, room_tokens: int) -> list[llm.Message]:
    """Return this turn's rounds; where they are too long, each result has an equal share of the room that the rest leaves."""
    whole = answer_messages(parts_so_far, with_thoughts=True)
    count = sum(part["type"] == "tool_result" for part in parts_so_far)
    if not count or sum(map(message_tokens, whole)) <= room_tokens:
        return whole
    bare = sum(map(message_tokens, answer_messages(parts_so_far, with_thoughts=True, max_bytes=0)))
    share = max(0, room_tokens - bare) // count
    return answer_messages(parts_so_far, with_thoughts=True, max_bytes=share * BYTES_PER_TOKEN)


def prepare_request(
    candidates: Sequence[Candidate], context: PromptContext, parts_so_far: Sequence[MessagePart] = (), *, may_call: bool = True
) -> tuple[list[Candidate], ModelRequest]:
    """Build the request for the first model that can take it; return it with those of the others that can, too.

    Raises what the first model refused by, ContextTooLong or ModelCannot, if none can.
    """

    def build(candidate: Candidate) -> ModelRequest:
        request = build_request(context, candidate, parts_so_far, may_call=may_call)
        candidate.model.check(request, id=candidate.id)
        return request

    return able_candidates(candidates, build, can_serve)


def can_serve(candidate: Candidate, request: ModelRequest) -> bool:
    """Whether the model is able to answer the request, and has room for it."""
    return candidate.supports(request) and request_tokens(request, candidate.model) <= candidate.model.context_tokens
