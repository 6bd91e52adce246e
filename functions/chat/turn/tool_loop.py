"""The tool loop: call the model, run its tool calls, and repeat with their results until the model calls no tool."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from functions.chat.services import ChatServices
from functions.chat.turn.events import NumberedEvent, Ping
from functions.chat.turn.heartbeat import POLL_S, Heartbeat
from functions.chat.turn.prompt import prepare_request
from functions.chat.turn.provider_stream import StreamEnded, StreamReader
from functions.chat.turn.question import fetch_images
from functions.chat.turn.retrieval import format_sources, number_tool_results
from functions.chat.turn.state import ApprovalsPending, Superseded, Turn
from functions.chat.turn.tools import TOOL_GRACE_S, ParallelToolCalls, ParsedToolCall, TurnTool
from parley.db.engine import Connection
from parley.db.transactions import user_scope
from parley.db.turn import steering_messages
from parley.db.turn.approvals import Approval
from parley.db.turn.steering_messages import SteeringMessage
from parley.deadline import Deadline, retry_while_unavailable
from parley.llm import messages as llm
from parley.llm.errors import ProviderFailed
from parley.llm.router import ModelStreamEvent
from parley.metering import limits
from parley.metering.limits import Reservation
from parley.tools.approval import is_trusted, needs_approval
from parley.tools.ask_user import ASK_USER
from parley.tools.mcp import Elicitation
from parley.tools.outcome import AskedForm, ToolOutcome, truncate_result
from parley.tools.spec import MAX_TIMEOUT_S
from parley.turn_recovery import DENIED_RESULT

if TYPE_CHECKING:
    from functions.chat.turn.user_questions import UserQuestion

MAX_TOOL_CALLS = 16
MAX_ROUNDS = 8
# How often one call of an MCP server's tool may ask the user; further questions are declined.
MAX_SERVER_QUESTIONS = 3
# If an answer was cut short, its tool calls may be incomplete.
_CUT_SHORT_REASONS = {"length", "content_filter"}


@dataclass(slots=True)
class _SortedCalls:
    """The open calls of a round.

    `ready` calls run now, `waiting` calls need an approval, and `refused` maps calls to reasons. Of the calls that ask the user,
    `answered` have their results, and `questions` are still to be asked.
    """

    ready: dict[ParsedToolCall, TurnTool] = field(default_factory=dict)
    waiting: list[ParsedToolCall] = field(default_factory=list)
    refused: dict[ParsedToolCall, str] = field(default_factory=dict)
    answered: dict[ParsedToolCall, ToolOutcome] = field(default_factory=dict)
    questions: "list[UserQuestion]" = field(default_factory=list)

    def ask(self, turn: Turn, call: ParsedToolCall) -> None:
        """Ask the user the questions of a call of `ask_user`, unless they were asked before."""
        from functions.chat.turn.user_questions import UserQuestion, ask_or_answer  # few turns ask their user

        match ask_or_answer(call, turn.answers.get(call.call_id)):
            case UserQuestion() as question:
                self.questions.append(question)
            case outcome:
                self.answered[call] = outcome

    def ask_for_server(self, turn: Turn, call: ParsedToolCall, asked: AskedForm) -> None:
        """Ask the user the questions of the MCP server that runs the call."""
        from functions.chat.turn.user_questions import server_question

        self.questions.append(server_question(call, asked, turn.answers.get(call.call_id)))


def run_tool_loop(services: ChatServices, turn: Turn, heartbeat: Heartbeat) -> Iterator[NumberedEvent | Ping]:
    """Run the rounds of a turn until its answer is complete. A resumed turn starts with its pending tool calls.

    Raises the provider's error, ApprovalsPending if a call needs the user, StopRequested, Superseded, OutOfTime, BudgetExhausted
    and ContextTooLong.
    """
    while True:
        if turn.open_calls:
            yield from run_tool_calls(turn, heartbeat)
            heartbeat.tick_now()  # so that the round has messages sent since the last tick
            yield from map(heartbeat.mark_sent, _read_messages(services, turn, heartbeat.deadline))
            _prepare_next_round(services, turn, heartbeat.deadline)
        yield from _call_model(services, turn, heartbeat)
        if not turn.open_calls:
            return


def run_tool_calls(turn: Turn, heartbeat: Heartbeat) -> Iterator[NumberedEvent | Ping]:
    """Run the turn's open calls in parallel, and yield an event for each result as it arrives.

    If calls need an approval or an answer, raises ApprovalsPending once the other calls have their results. Raises StopRequested,
    Superseded and OutOfTime.
    """
    calls = _sort_calls(turn)
    for call, reason in calls.refused.items():
        yield heartbeat.mark_sent(turn.add_tool_result(call, ToolOutcome(False, reason)))
    for call, outcome in calls.answered.items():
        yield heartbeat.mark_sent(turn.add_tool_result(call, outcome, is_trusted=is_trusted(ASK_USER)))
    if any(tool.spec.writes for tool in calls.ready.values()):
        heartbeat.tick_now()
    yield from _run_ready(turn, heartbeat, calls)
    if calls.waiting or calls.questions:
        raise ApprovalsPending(calls.waiting, calls.questions)


def _run_ready(turn: Turn, heartbeat: Heartbeat, calls: _SortedCalls) -> Iterator[NumberedEvent | Ping]:
    """Run the calls that are ready. A call whose MCP server asks the user has no result; its question is added to `calls`."""
    ready = calls.ready
    max_s = min(MAX_TIMEOUT_S - TOOL_GRACE_S, max(heartbeat.deadline.left_s, 0.1))
    timeouts_s = {call: min(tool.spec.timeout_s, max_s) for call, tool in ready.items()}
    running = ParallelToolCalls(turn.toolbox, timeouts_s, _elicitations(turn, ready))
    while running.is_running:
        if ended := running.next(timeout_s=POLL_S):
            call, outcome = ended
            if outcome.asked:
                calls.ask_for_server(turn, call, outcome.asked)
                continue
            found = number_tool_results(turn.parts.sources, outcome.found, query=str(call.arguments.get("query", "")))
            result = replace(outcome, content=truncate_result(format_sources(found))) if found else outcome
            yield heartbeat.mark_sent(turn.add_tool_result(call, result, is_trusted=is_trusted(ready[call].spec)))
            yield from (heartbeat.mark_sent(turn.add_source(source.source_event)) for source in found if source.is_new)
        yield from heartbeat.beat()


def _elicitations(turn: Turn, ready: dict[ParsedToolCall, TurnTool]) -> dict[ParsedToolCall, Elicitation]:
    """Return how calls of MCP servers may ask the user: not at all unless the client can show forms."""
    if not turn.context.question.asks_user:
        return {}
    return {call: _elicitation(turn.answers.get(call.call_id)) for call, tool in ready.items() if tool.spec.source == "mcp"}


def _elicitation(earlier: Approval | None) -> Elicitation:
    if earlier is None or earlier.question is None:
        return Elicitation()
    question = earlier.question
    return Elicitation(question["number"] < MAX_SERVER_QUESTIONS, question["request"], earlier.answers)


def _sort_calls(turn: Turn) -> _SortedCalls:
    """Sort all open calls before any of them runs, so that no result of this round influences the approvals."""
    calls = _SortedCalls()
    tools = {tool.spec.name: tool for tool in turn.context.offered}
    is_tainted = turn.context.is_tainted(turn.parts.all())
    over_limit = {part["call_id"] for part in turn.parts.tool_calls[MAX_TOOL_CALLS:]}
    for call in turn.open_calls:
        tool = tools.get(call.name)
        if reason := _refusal(turn, call, tool, is_over_limit=call.call_id in over_limit):
            calls.refused[call] = reason
        elif tool and tool.spec is ASK_USER:
            calls.ask(turn, call)
        elif tool and (
            turn.decisions.get(call.call_id)
            or call.call_id in turn.answers  # it ran up to its question
            or not needs_approval(tool.spec, user_requires_approval=tool.user_requires_approval, is_tainted=is_tainted)
        ):
            calls.ready[call] = tool
        else:
            calls.waiting.append(call)
    return calls


def _refusal(turn: Turn, call: ParsedToolCall, tool: TurnTool | None, *, is_over_limit: bool) -> str | None:
    """Return the reason not to run a call, which the model receives as the result, or None if the call may run."""
    if tool is None:
        return f"Unknown tool {call.name!r}."
    if is_over_limit:
        return f"Not run: an answer may call at most {MAX_TOOL_CALLS} tools."
    if turn.decisions.get(call.call_id) is False:
        return DENIED_RESULT
    if call.call_id in turn.invalid_calls:
        return "Not run: the arguments are not valid JSON."
    return None


def _call_model(services: ChatServices, turn: Turn, heartbeat: Heartbeat) -> Iterator[NumberedEvent | Ping]:
    """Call the model once, yield its text as events, and add its tool calls to the turn."""
    turn.finished = None
    tool_calls = list[llm.ToolCall]()
    reserve_again = partial(_reserve_again, services, turn, heartbeat.deadline)
    request = fetch_images(turn.request, services.images, turn.image_bytes)
    left_s = heartbeat.deadline.left_s + 1
    model_stream = services.router.ask(turn.candidates, request, user_id=turn.user_id, total_s=left_s, reserve_again=reserve_again)
    turn.model_streams.append(model_stream)
    with StreamReader(model_stream) as reader:
        while True:
            try:
                model_event = reader.next(timeout_s=POLL_S)
            except StreamEnded:
                break
            if event := _record_model_event(turn, tool_calls, model_event):
                yield heartbeat.mark_sent(event)
            yield from heartbeat.beat()
    if turn.finished is None:
        raise ProviderFailed(model_stream.calls[-1].model.provider, "the answer has no end")
    yield from map(heartbeat.mark_sent, _record_tool_calls(turn, turn.finished, tool_calls))


def _record_model_event(turn: Turn, tool_calls: list[llm.ToolCall], event: ModelStreamEvent | None) -> NumberedEvent | None:
    """Record an event of the model. For text, return the event for the client; collect a tool call in `tool_calls`."""
    match event:
        case llm.TextDelta(text):
            return turn.add_text(text)
        case llm.Thought(origin, payload):
            turn.parts.add_thought(origin, payload)
        case llm.ToolCall():
            tool_calls.append(event)
        case llm.Finished():
            turn.finished = event
    return None


def _record_tool_calls(turn: Turn, finished: llm.Finished, tool_calls: list[llm.ToolCall]) -> Iterator[NumberedEvent]:
    """Add the model's tool calls to the turn. Ignore them if the answer was cut short or the request allowed no calls."""
    if finished.reason in _CUT_SHORT_REASONS or not turn.request.tools or turn.request.tool_choice == "none":
        return
    taken = {part.id for message in turn.request.messages for part in message.parts if isinstance(part, llm.ToolCall)}
    for tool_call in tool_calls:
        parsed_call = ParsedToolCall.of(tool_call, taken=taken)
        taken.add(parsed_call.call_id)
        yield turn.add_tool_call(parsed_call)


def _read_messages(services: ChatServices, turn: Turn, deadline: Deadline) -> list[NumberedEvent]:
    """Add the messages that the user has sent meanwhile to the next request, and return their events."""
    if not turn.has_unread_messages:
        return []
    return [turn.add_user_message(message) for message in retry_while_unavailable(partial(_unread_messages, services, turn), deadline)]


def _unread_messages(services: ChatServices, turn: Turn) -> list[SteeringMessage]:
    with user_scope(services.engine, turn.user_id) as connection:
        return steering_messages.unread(connection, turn.id, user_id=turn.user_id, read=turn.parts.user_messages)


def _prepare_next_round(services: ChatServices, turn: Turn, deadline: Deadline) -> None:
    """Build the next round's request, settle the calls so far, and reserve the new cost. The model that answered is called first."""
    last_model = turn.model_id
    candidates = sorted(turn.candidates, key=lambda candidate: candidate.id != last_model)
    turn.rounds += 1
    may_call = turn.rounds < MAX_ROUNDS and len(turn.parts.tool_calls) < MAX_TOOL_CALLS
    turn.candidates, turn.request = prepare_request(candidates, turn.context, turn.parts.all(), may_call=may_call)
    # Tools have run, and may have changed something: a database that is briefly away must not end the turn.
    retry_while_unavailable(partial(_settle_and_reserve, services, turn), deadline)


def _settle_and_reserve(services: ChatServices, turn: Turn) -> None:
    """Settle the calls so far and reserve the cost of the next. Safe to repeat: the next settlement releases what an attempt reserved."""
    with user_scope(services.engine, turn.user_id) as connection:
        is_ours = limits.settle(connection, turn.billing_subject, turn.billed_calls, reservations=turn.reservations, turn_id=turn.id)
        if turn.reservations and not is_ours:
            raise Superseded(f"turn {turn.id}")
        turn.reservations.append(_reserve(services, turn, connection))


def _reserve_again(services: ChatServices, turn: Turn, deadline: Deadline) -> None:
    """Reserve the cost again before a call is repeated, because the vendor may charge for the failed call, too. Raises BudgetExhausted."""

    def reserve() -> None:
        with user_scope(services.engine, turn.user_id) as connection:
            turn.reservations.append(_reserve(services, turn, connection))

    retry_while_unavailable(reserve, deadline)


def _reserve(services: ChatServices, turn: Turn, connection: Connection) -> Reservation:
    first = turn.candidates[0]
    amount_usd = limits.max_cost_usd([candidate.model for candidate in turn.candidates], turn.request)
    detail = limits.reservation_detail(turn.id, first.id, first.model, turn.request)
    return limits.reserve(connection, turn.billing_subject, services.default_limits, amount_usd=amount_usd, detail=detail)
