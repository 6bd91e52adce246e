"""What a model is given: the system prompt, then as much of the conversation as fits, then the question, then this turn's rounds."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from functions.chat.expanding import expanded, message_tokens, told
from functions.chat.picturing import RECENT_MESSAGES, pictured
from functions.chat.question import Question
from functions.chat.toolbox import Offered
from parley.db.conversations import Conversation
from parley.db.messages import HistoryMessage
from parley.db.turn.message_parts import MessagePart
from parley.llm import messages as llm
from parley.llm.errors import ContextTooLong, ModelCannot
from parley.llm.model import Model
from parley.llm.prompts import quoted_source
from parley.llm.router import Candidate
from parley.llm.tokens import BYTES_PER_TOKEN, estimate_tokens
from parley.memory.window import fit_with_summary
from parley.tools.approval import taints

MEMORY_TOKENS, SOURCE_TOKENS = 1500, 4000
DEFAULT_SYSTEM_PROMPT = "You are a helpful assistant. Answer in the language of the question."


@dataclass(frozen=True, slots=True)
class Context:
    """All that a turn may give to a model: what was said before the question, oldest first, the tools, the user's memory and sources.

    `summary` is what was said so far in short. Where it `remembers`, the window leaves room for facts and passages, and where the
    question asks documents, for sources; these are known later. `is_cut` says that more was said before `earlier` than is known here.
    """

    conversation: Conversation | None
    earlier: Sequence[HistoryMessage]
    question: Question
    offered: Sequence[Offered] = ()
    summary: str | None = None
    remembers: bool = False
    facts: Sequence[str] = ()
    passages: Sequence[str] = ()
    sources: Sequence[llm.Source] = ()
    is_cut: bool = False

    def tools_for(self, model: Model) -> list[llm.ToolDefinition]:
        """Return what the model is offered: nothing if it cannot call tools, unless some were asked for by name."""
        if "tools" not in model.abilities and isinstance(self.question.tools, bool):
            return []
        return [llm.ToolDefinition(one.spec.name, one.spec.description, one.spec.parameters) for one in self.offered]

    @property
    def found_tokens(self) -> int:
        """What facts, passages and sources take."""
        return sum(map(estimate_tokens, (*self.facts, *self.passages, *map(quoted_source, self.sources))))

    def is_tainted(self, said: Sequence[MessagePart]) -> bool:
        """Whether text that nobody vouches for is in it, or in this turn's answer so far. What is not known counts as such."""
        parts = [*said, *self.question.images, *(part for message in self.earlier for part in message.parts)]
        return self.is_cut or any(map(taints, parts))


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A stored message as the model is given it."""

    messages: Sequence[llm.Message]
    tokens: int

    @classmethod
    def of(cls, stored: HistoryMessage, *, with_calls: bool, with_images: bool) -> "_Remembered":
        """Expand an answer's calls, or leave them out; show a question's images, or tell that there were some."""
        if with_calls and any(part["type"] == "tool_call" for part in stored.parts):
            messages = told(stored.parts)
            return cls(messages, sum(map(message_tokens, messages)))
        if images := stored.images:
            message = llm.Message(stored.role, pictured(stored.text, images, are_shown=with_images))
            return cls([message], message_tokens(message))
        return cls([llm.Message(stored.role, stored.text)] if stored.text else [], stored.tokens)


def assemble(context: Context, candidate: Candidate, said: Sequence[MessagePart] = (), *, may_call: bool = True) -> llm.ModelRequest:
    """Build the request; `said` is what this turn's answer has so far. Without `may_call` the tools are shown, and none may be called.

    Results of this turn are cut where they would not fit. Raises ContextTooLong if the question does not fit the model,
    and ModelCannot if the answer has called tools and the model cannot.
    """
    question, model = context.question, candidate.model
    if "tools" not in model.abilities and any(part["type"] == "tool_call" for part in said):
        raise ModelCannot(candidate.id, "tools")
    system, tools = (context.conversation and context.conversation.system_prompt) or DEFAULT_SYSTEM_PROMPT, context.tools_for(model)
    answer_tokens = min(question.max_output_tokens or model.max_output_tokens, model.max_output_tokens)
    room = model.context_tokens - answer_tokens
    asked = llm.Message("user", pictured(question.text, question.images, are_shown=True))
    needed = estimate_tokens(system) + message_tokens(asked) + tools_tokens(tools)
    found = context.found_tokens
    own = _own(said, room_tokens=room - needed - found)
    needed += sum(map(message_tokens, own))
    if needed + found > room:
        raise ContextTooLong(candidate.id, tokens=needed + found, limit=max(room, 0))
    left = room - needed
    reserved = memory_tokens(context, room_tokens=left) + source_tokens(context, room_tokens=left)
    kept, told_before = _kept(context, model, budget_tokens=left - max(reserved, found))
    return llm.ModelRequest(
        [*(message for one in kept for message in one.messages), asked, *own],
        system=f"{system}{told_before}",
        max_output_tokens=answer_tokens,
        temperature=question.temperature,
        tools=tools,
        tool_choice="auto" if may_call else "none",
        output=question.output,
        facts=context.facts,
        passages=context.passages,
        sources=context.sources,
    )


def memory_tokens(context: Context, *, room_tokens: int) -> int:
    """Return how many tokens facts and passages may take of the room that question and rounds leave."""
    return min(MEMORY_TOKENS, max(room_tokens, 0) // 4) if context.remembers else 0


def source_tokens(context: Context, *, room_tokens: int) -> int:
    """Return how many tokens sources may take of that room."""
    return min(SOURCE_TOKENS, max(room_tokens, 0) // 3) if context.question.documents else 0


@dataclass(frozen=True, slots=True)
class Room:
    """How many tokens memory and sources may take, and how many of the earlier messages the model is given anyway."""

    memory_tokens: int
    source_tokens: int
    kept: int


def room_for(context: Context, candidate: Candidate) -> Room:
    """Return what room there is for what is looked up."""
    model, question = candidate.model, context.question
    system = (context.conversation and context.conversation.system_prompt) or DEFAULT_SYSTEM_PROMPT
    room = model.context_tokens - min(question.max_output_tokens or model.max_output_tokens, model.max_output_tokens)
    asked = llm.Message("user", pictured(question.text, question.images, are_shown=True))
    room -= estimate_tokens(system) + message_tokens(asked) + tools_tokens(context.tools_for(model))
    memory, sources = memory_tokens(context, room_tokens=room), source_tokens(context, room_tokens=room)
    return Room(memory, sources, len(_kept(context, model, budget_tokens=room - memory - sources)[0]))


def _kept(context: Context, model: Model, *, budget_tokens: int) -> tuple[list[_Remembered], str]:
    """Return what of the earlier messages fits, and what stands for the rest: images only of the newest, and only if the model can see."""
    earlier, with_calls = context.earlier, bool(context.tools_for(model))
    first_shown = len(earlier) - RECENT_MESSAGES if "images" in model.abilities else len(earlier)
    remembered = [_Remembered.of(message, with_calls=with_calls, with_images=place >= first_shown) for place, message in enumerate(earlier)]
    return fit_with_summary(remembered, context.summary, budget_tokens=budget_tokens)


def tools_tokens(tools: Sequence[llm.ToolDefinition]) -> int:
    """Guess what the declarations of tools take."""
    return sum(estimate_tokens(f"{tool.name} {tool.description} {json.dumps(dict(tool.parameters))}") for tool in tools)


def takes_tokens(request: llm.ModelRequest, model: Model) -> int:
    """Guess what the request takes of a model's context, the answer's room with it."""
    answer_tokens = min(request.max_output_tokens or model.max_output_tokens, model.max_output_tokens)
    around = estimate_tokens(request.system or "") + tools_tokens(request.tools)
    around += sum(map(estimate_tokens, (*request.facts, *request.passages, *map(quoted_source, request.sources))))
    return answer_tokens + around + sum(map(message_tokens, request.messages))


def _own(said: Sequence[MessagePart], *, room_tokens: int) -> list[llm.Message]:
    """Return this turn's rounds; where they are too long, each result has an equal share of the room that the rest leaves."""
    whole = expanded(said, with_thoughts=True)
    count = sum(part["type"] == "tool_result" for part in said)
    if not count or sum(map(message_tokens, whole)) <= room_tokens:
        return whole
    bare = sum(map(message_tokens, expanded(said, with_thoughts=True, most_bytes=0)))
    share = max(0, room_tokens - bare) // count
    return expanded(said, with_thoughts=True, most_bytes=share * BYTES_PER_TOKEN)
