"""The request to the model: system prompt, the history that fits, the question, and the rounds of this turn.

The token budget decides how much history is sent, whether tool results of this turn are truncated, how much memory and how many
sources are retrieved, and which models can serve the request.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from functions.chat.turn.question import Question, answer_messages, ended_answer_messages, message_content, message_tokens
from functions.chat.turn.tools import TurnTool, TurnToolbox
from parley.db.conversations import Conversation
from parley.db.messages import HistoryMessage
from parley.db.projects.projects import Project
from parley.db.turn.message_parts import MessagePart
from parley.errors import InvalidInput
from parley.llm import messages as llm
from parley.llm.candidates import Candidate, able_candidates
from parley.llm.errors import ContextTooLong, ModelCannot
from parley.llm.model import Model
from parley.llm.prompts import quoted_source
from parley.llm.tokens import BYTES_PER_TOKEN, estimate_tokens
from parley.memory.window import fit_with_summary
from parley.tools.approval import taints
from parley.tools.ask_user import ASK_USER, AskUserTool
from parley.tools.search_tools import SEARCH_CONVERSATIONS

DEFAULT_SYSTEM_PROMPT = "You are a helpful assistant. Answer in the language of the question."
MAX_MEMORY_TOKENS = 1500
MAX_SOURCE_TOKENS = 4000
# Images in this many messages before the question are sent again; older images become notes.
RECENT_MESSAGES_WITH_IMAGES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptContext:
    """The material for a turn's requests: history (oldest first), question, tools, retrieved memory and sources.

    `project` is the conversation's project, if it has one, without documents that the caller may not search.
    `summary` is the conversation's stored summary. `is_history_truncated` means that the conversation may have messages before
    `history`. Memory and sources are retrieved later, so the prompt reserves tokens for them: for facts and passages if the turn
    `remembers`, and for sources if the question searches documents.
    """

    conversation: Conversation | None
    project: Project | None = None
    history: Sequence[HistoryMessage]
    question: Question
    offered: Sequence[TurnTool] = ()
    summary: str | None = None
    remembers: bool = False
    facts: Sequence[str] = ()
    passages: Sequence[str] = ()
    sources: Sequence[llm.Source] = ()
    is_history_truncated: bool = False
    # Results that depend on the history and the tools alone, so that a request with retrieved memory does not convert them again.
    _converted: dict[Hashable, Any] = field(default_factory=dict)

    @property
    def system_prompt(self) -> str:
        """The assistant's instructions and the conversation's own system prompt, or the default, then the instructions of its project."""
        own = self.conversation.system_prompt if self.conversation else None
        assistant, project = self.question.assistant, self.project
        base = "\n\n".join(filter(None, (assistant.instructions if assistant else None, own))) or DEFAULT_SYSTEM_PROMPT
        return f"{base}\n\n{project.instructions}" if project and project.instructions else base

    @property
    def searches_documents(self) -> bool:
        """Whether documents are searched: because the question asks for it, or because the project has documents."""
        return bool(self.question.documents) or bool(self.project and self.project.documents)

    @property
    def only_documents(self) -> Sequence[UUID]:
        """The documents to search: those that the question names, else those of the project; empty if all are searched."""
        if self.question.documents or not self.project:
            return self.question.named_documents
        return self.project.documents

    @property
    def memory_project_id(self) -> UUID | None:
        """The project whose conversations memory is limited to, None if there is no limit."""
        return self.project.id if self.project and self.project.limits_memory else None

    @property
    def question_message(self) -> llm.Message:
        """The question with its images, as a message."""
        return llm.Message("user", message_content(self.question.text, self.question.images, are_shown=True))

    @property
    def retrieved_tokens(self) -> int:
        """The estimated tokens of facts, passages and sources."""
        return sum(map(estimate_tokens, (*self.facts, *self.passages, *map(quoted_source, self.sources))))

    def tools_for(self, model: Model) -> list[llm.ToolDefinition]:
        """Return the tools to offer to the model.

        A model that cannot call tools gets none, but tools that the question names are always offered: the request then fails.
        """
        if "tools" not in model.abilities and isinstance(self.question.tools, bool):
            return []
        return self._once("tools", lambda: [_definition(tool) for tool in self.offered])

    def history_entries(self, *, with_calls: bool, first_with_images: int) -> "list[_HistoryEntry]":
        """Return the history as LLM messages. Messages before number `first_with_images` have notes in place of images."""

        def convert() -> list[_HistoryEntry]:
            return [
                _HistoryEntry.of(message, with_calls=with_calls, with_images=position >= first_with_images)
                for position, message in enumerate(self.history)
            ]

        return self._once((with_calls, first_with_images), convert)

    def _once[T](self, key: Hashable, convert: Callable[[], T]) -> T:
        if key not in self._converted:
            self._converted[key] = convert()
        result: T = self._converted[key]
        return result

    def answer_tokens(self, model: Model) -> int:
        """Return the output limit of the request in tokens."""
        return min(self.question.max_output_tokens or model.max_output_tokens, model.max_output_tokens)

    def is_tainted(self, parts_so_far: Sequence[MessagePart]) -> bool:
        """Whether the context, or this turn's answer so far, contains untrusted text. Truncated history counts as untrusted."""
        parts = [*parts_so_far, *self.question.images, *(part for message in self.history for part in message.parts)]
        return self.is_history_truncated or any(map(taints, parts))


@dataclass(frozen=True, slots=True)
class RetrievalBudget:
    """How many tokens memory and sources may take, and how many history messages fit beside them."""

    memory_tokens: int
    source_tokens: int
    history_messages: int


@dataclass(frozen=True, slots=True)
class _HistoryEntry:
    """A stored message as LLM messages, with their estimated tokens."""

    messages: Sequence[llm.Message]
    tokens: int

    @classmethod
    def of(cls, stored: HistoryMessage, *, with_calls: bool, with_images: bool) -> "_HistoryEntry":
        """Convert a stored message. Without `with_calls`, leave out an answer's calls; without `with_images`, replace images by notes."""
        if with_calls and any(part["type"] == "tool_call" for part in stored.parts):
            messages = ended_answer_messages(stored.parts)
            return cls(messages, sum(map(message_tokens, messages)))
        if any(part["type"] == "user_message" for part in stored.parts):
            messages = answer_messages([part for part in stored.parts if part["type"] in ("text", "user_message")])
            return cls(messages, sum(map(message_tokens, messages)))
        if images := stored.images:
            message = llm.Message(stored.role, message_content(stored.text, images, are_shown=with_images))
            return cls([message], message_tokens(message))
        # Copies of shared conversations that an earlier release made have no token counts.
        return cls([llm.Message(stored.role, stored.text)] if stored.text else [], stored.tokens or estimate_tokens(stored.text))


def select_tools(toolbox: TurnToolbox, question: Question, *, remembers: bool, require_all: bool = True) -> Sequence[TurnTool]:
    """Return the tools that the question names, or else all tools that its assistant offers.

    A turn without memory, or with memory of its project only, does not get the search in past conversations. If the client can show
    the model's questions, `ask_user` is one of the tools. With `require_all`, raises InvalidInput for a name that is not among the
    user's tools.
    """
    offered: list[TurnTool] = [tool for tool in toolbox.offered if remembers or tool.spec.name != SEARCH_CONVERSATIONS.name]
    if question.assistant and isinstance(question.tools, bool):
        offered = [tool for tool in offered if question.assistant.offers(tool.spec.name)]
    if question.asks_user and question.tools:
        offered = [*(tool for tool in offered if tool.spec.name != ASK_USER.name), AskUserTool()]
    if isinstance(question.tools, bool):
        return offered
    tools_by_name = {tool.spec.name: tool for tool in offered}
    missing = [name for name in question.tools if name not in tools_by_name]
    if missing and require_all:
        msg = f"unknown or unavailable tool: {', '.join(missing)}"
        raise InvalidInput(msg, loc=("body", "tools"), evidence=f"{len(missing)} unknown or unavailable tools")
    names = [*question.tools, ASK_USER.name] if question.asks_user else question.tools
    return [tools_by_name[name] for name in dict.fromkeys(names) if name in tools_by_name]


def prepare_request(
    candidates: Sequence[Candidate], context: PromptContext, parts_so_far: Sequence[MessagePart] = (), *, may_call: bool = True
) -> tuple[list[Candidate], llm.ModelRequest]:
    """Return the models that can serve the request, in the given order, and the request built for the first of them.

    Raises the first model's error, ContextTooLong or ModelCannot, if no model can.
    """

    def build(candidate: Candidate) -> llm.ModelRequest:
        request = build_request(context, candidate, parts_so_far, may_call=may_call)
        candidate.model.check(request, id=candidate.id)
        return request

    return able_candidates(candidates, build, can_serve)


def _definition(tool: TurnTool) -> llm.ToolDefinition:
    return llm.ToolDefinition(tool.spec.name, tool.spec.description, tool.spec.parameters)


def build_request(
    context: PromptContext, candidate: Candidate, parts_so_far: Sequence[MessagePart] = (), *, may_call: bool = True
) -> llm.ModelRequest:
    """Build the request for one model. `parts_so_far` are the parts of this turn's answer.

    Without `may_call`, the tools are described but the model must not call them. Tool results of this turn are truncated if they do
    not fit. Raises ContextTooLong if the question does not fit the model, and ModelCannot if the answer already has tool calls and
    the model cannot call tools.
    """
    model, system, tools = candidate.model, context.system_prompt, context.tools_for(candidate.model)
    if "tools" not in model.abilities and any(part["type"] == "tool_call" for part in parts_so_far):
        raise ModelCannot(candidate.id, "tools")
    question_message, answer_tokens = context.question_message, context.answer_tokens(model)
    room = model.context_tokens - answer_tokens
    needed = estimate_tokens(system) + message_tokens(question_message) + tools_tokens(tools)
    retrieved = context.retrieved_tokens
    current_answer = _current_answer(parts_so_far, room_tokens=room - needed - retrieved)
    needed += sum(map(message_tokens, current_answer))
    if needed + retrieved > room:
        raise ContextTooLong(candidate.id, tokens=needed + retrieved, limit=max(room, 0))
    left = room - needed
    reserved = memory_tokens(context, room_tokens=left) + source_tokens(context, room_tokens=left)
    history, summary_note = _fitting_history(context, model, budget_tokens=left - max(reserved, retrieved))
    return llm.ModelRequest(
        [*(message for entry in history for message in entry.messages), question_message, *current_answer],
        system=f"{system}{summary_note}",
        max_output_tokens=answer_tokens,
        temperature=context.question.temperature,
        tools=tools,
        tool_choice="auto" if may_call else "none",
        output=context.question.output,
        facts=context.facts,
        passages=context.passages,
        sources=context.sources,
    )


def can_serve(candidate: Candidate, request: llm.ModelRequest) -> bool:
    """Whether the model has the abilities and the context window for the request."""
    return candidate.supports(request) and request_tokens(request, candidate.model) <= candidate.model.context_tokens


def retrieval_budget(context: PromptContext, candidate: Candidate) -> RetrievalBudget:
    """Return the token budgets for memory and sources."""
    model = candidate.model
    room = model.context_tokens - context.answer_tokens(model)
    room -= estimate_tokens(context.system_prompt) + message_tokens(context.question_message) + tools_tokens(context.tools_for(model))
    memory, sources = memory_tokens(context, room_tokens=room), source_tokens(context, room_tokens=room)
    return RetrievalBudget(memory, sources, len(_fitting_history(context, model, budget_tokens=room - memory - sources)[0]))


def memory_tokens(context: PromptContext, *, room_tokens: int) -> int:
    """Return the token budget for facts and passages: at most a quarter of `room_tokens`."""
    return min(MAX_MEMORY_TOKENS, max(room_tokens, 0) // 4) if context.remembers else 0


def source_tokens(context: PromptContext, *, room_tokens: int) -> int:
    """Return the token budget for sources: at most a third of `room_tokens`."""
    return min(MAX_SOURCE_TOKENS, max(room_tokens, 0) // 3) if context.searches_documents else 0


def tools_tokens(tools: Sequence[llm.ToolDefinition]) -> int:
    """Estimate the tokens of the tools' declarations."""
    return sum(estimate_tokens(tool.text) for tool in tools)


def request_tokens(request: llm.ModelRequest, model: Model) -> int:
    """Estimate how many tokens of the model's context window the request and its answer take."""
    answer_tokens = min(request.max_output_tokens or model.max_output_tokens, model.max_output_tokens)
    around = estimate_tokens(request.system or "") + tools_tokens(request.tools)
    around += sum(map(estimate_tokens, (*request.facts, *request.passages, *map(quoted_source, request.sources))))
    return answer_tokens + around + sum(map(message_tokens, request.messages))


def _fitting_history(context: PromptContext, model: Model, *, budget_tokens: int) -> tuple[list[_HistoryEntry], str]:
    """Return the messages of the history that fit, and a note with the summary of the others.

    Images are shown in recent messages only, and only to a model that accepts images.
    """
    history, with_calls = context.history, bool(context.tools_for(model))
    first_shown = len(history) - RECENT_MESSAGES_WITH_IMAGES if "images" in model.abilities else len(history)
    entries = context.history_entries(with_calls=with_calls, first_with_images=first_shown)
    return fit_with_summary(entries, context.summary, budget_tokens=budget_tokens)


def _current_answer(parts_so_far: Sequence[MessagePart], *, room_tokens: int) -> list[llm.Message]:
    """Return the messages of this turn's rounds. If they are too long, all tool results share the available tokens equally."""
    whole = answer_messages(parts_so_far, with_thoughts=True)
    count = sum(part["type"] == "tool_result" for part in parts_so_far)
    if not count or sum(map(message_tokens, whole)) <= room_tokens:
        return whole
    without_results = sum(map(message_tokens, answer_messages(parts_so_far, with_thoughts=True, max_bytes=0)))
    share = max(0, room_tokens - without_results) // count
    return answer_messages(parts_so_far, with_thoughts=True, max_bytes=share * BYTES_PER_TOKEN)
