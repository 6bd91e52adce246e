"""The tool loop: call the model, run the tools that it asks for, and call it again with their results, until it asks for none."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from sqlalchemy import Connection

from functions.chat.services import ChatServices
from functions.chat.turn.events import NumberedEvent, Ping
from functions.chat.turn.heartbeat import Heartbeat
from functions.chat.turn.prompt import fetch_images, prepare_request
from functions.chat.turn.provider_stream import StreamEnded, StreamReader
from functions.chat.turn.retrieval import format_sources, number_tool_results
from functions.chat.turn.state import ApprovalsPending, Superseded, Turn
from functions.chat.turn.tools import TOOL_GRACE_S, ParallelToolCalls, ParsedToolCall, TurnTool, truncate_result
from parley.db.transactions import user_scope
from parley.llm import messages as llm
from parley.llm.errors import ProviderFailed
from parley.llm.router import ModelStreamEvent
from parley.metering import limits
from parley.metering.limits import Reservation
from parley.tools.approval import is_trusted, needs_approval
from parley.tools.outcome import ToolOutcome
from parley.tools.spec import MAX_TIMEOUT_S
from parley.turn_recovery import DENIED_RESULT

MAX_TOOL_CALLS = 16


@dataclass(slots=True)
class _SortedCalls:
    """The calls of a round, by what is to be done with them."""

    ready: dict[ParsedToolCall, TurnTool] = field(default_factory=dict)
    waiting: list[ParsedToolCall] = field(default_factory=list)
    refused: dict[ParsedToolCall, str] = field(default_factory=dict)


def run_tool_calls(turn: Turn, heartbeat: Heartbeat) -> Iterator[NumberedEvent | Ping]:
    """Run the turn's open calls side by side, and note each result as it comes.

    Raises Waits if some need an approval, once the others have their results; Stopped, Superseded and OutOfTime.
    """
    sorted_ = _sort_calls(turn)
    for call, reason in sorted_.refused.items():
        yield heartbeat.mark_sent(turn.add_tool_result(call, ToolOutcome(False, reason, 0.0)))
    if any(one.spec.writes for one in sorted_.ready.values()):
        heartbeat.tick_now()
    yield from _run_ready(turn, heartbeat, sorted_.ready)
    if sorted_.waiting:
        raise ApprovalsPending(sorted_.waiting)


def _run_ready(turn: Turn, heartbeat: Heartbeat, ready: dict[ParsedToolCall, TurnTool]) -> Iterator[NumberedEvent | Ping]:
    most_s = min(MAX_TIMEOUT_S - TOOL_GRACE_S, max(heartbeat.deadline.left_s, 0.1))
    running = ParallelToolCalls(turn.toolbox, {call: min(one.spec.timeout_s, most_s) for call, one in ready.items()})
    while running.is_running:
        if found := running.next(timeout_s=POLL_S):
            call, outcome = found
            sources = number_tool_results(turn.parts.sources, outcome.found, query=str(call.arguments.get("query", "")))
            told = replace(outcome, content=truncate_result(format_sources(sources))) if sources else outcome
            yield heartbeat.mark_sent(turn.add_tool_result(call, told, is_trusted=is_trusted(ready[call].spec)))
            yield from (heartbeat.mark_sent(turn.add_source(source.source_event)) for source in sources if source.is_new)
        yield from heartbeat.beat()


def _sort_calls(turn: Turn) -> _SortedCalls:
    """Decide by what stands in the context before any of these calls is run."""
    found, offered = _SortedCalls(), {one.spec.name: one for one in turn.context.offered}
    is_tainted = turn.context.is_tainted(turn.parts.all())
    beyond = {part["call_id"] for part in turn.parts.tool_calls[MAX_TOOL_CALLS:]}
    for call in turn.open_calls:
        tool = offered.get(call.name)
        if reason := _refusal(turn, call, tool, is_beyond=call.call_id in beyond):
            found.refused[call] = reason
        elif tool and (
            turn.decisions.get(call.call_id)
            or not needs_approval(tool.spec, user_requires_approval=tool.user_requires_approval, is_tainted=is_tainted)
        ):
            found.ready[call] = tool
        else:
            found.waiting.append(call)
    return found


def _refusal(turn: Turn, call: ParsedToolCall, tool: TurnTool | None, *, is_beyond: bool) -> str | None:
    """Return why a call is not run, in words for the model."""
    if tool is None:
        return f"There is no tool {call.name!r}."
    if is_beyond:
        return f"Not run: an answer may call {MAX_TOOL_CALLS} tools."
    if turn.decisions.get(call.call_id) is False:
        return DENIED_RESULT
    if call.call_id in turn.invalid_calls:
        return "Not run: the arguments are no plain JSON."
    return None


POLL_S = 0.1


MAX_ROUNDS = 8


# Where an answer was cut short, so may have been its calls.
_CUT_SHORT_REASONS = {"length", "content_filter"}


def run_tool_loop(services: ChatServices, turn: Turn, heartbeat: Heartbeat) -> Iterator[NumberedEvent | Ping]:
    """Take the turn to its answer's end. One that had paused begins with the calls that it waited for.

    Raises what the provider raised, Waits where a call needs an approval, Stopped, Superseded, OutOfTime, BudgetExhausted and
    ContextTooLong.
    """
    while True:
        if turn.open_calls:
            yield from run_tool_calls(turn, heartbeat)
            _prepare_next_round(services, turn)
        yield from _call_model(services, turn, heartbeat)
        if not turn.open_calls:
            return


def _call_model(services: ChatServices, turn: Turn, heartbeat: Heartbeat) -> Iterator[NumberedEvent | Ping]:
    """Ask the model once, pass on what it says, and note what it asks for."""
    turn.finished, wanted = None, list[llm.ToolCall]()
    reserve_again = partial(_reserve_again, services, turn)
    request = fetch_images(turn.request, services.images, turn.image_bytes)
    model_stream = services.router.ask(turn.candidates, request, total_s=heartbeat.deadline.left_s + 1, reserve_again=reserve_again)
    turn.model_streams.append(model_stream)
    with StreamReader(model_stream) as reader:
        while True:
            try:
                event = reader.next(timeout_s=POLL_S)
            except StreamEnded:
                break
            if said := _record_model_event(turn, wanted, event):
                yield heartbeat.mark_sent(said)
            yield from heartbeat.beat()
    if turn.finished is None:
        raise ProviderFailed(model_stream.calls[-1].model.provider, "the answer has no end")
    yield from map(heartbeat.mark_sent, _record_tool_calls(turn, turn.finished, wanted))


def _record_model_event(turn: Turn, wanted: list[llm.ToolCall], event: ModelStreamEvent | None) -> NumberedEvent | None:
    """Note what the model said, and return it if it is for the client."""
    match event:
        case llm.TextDelta(text):
            return turn.add_text(text)
        case llm.Thought(origin, payload):
            turn.parts.add_thought(origin, payload)
        case llm.ToolCall():
            wanted.append(event)
        case llm.Finished():
            turn.finished = event
    return None


def _record_tool_calls(turn: Turn, finished: llm.Finished, wanted: list[llm.ToolCall]) -> Iterator[NumberedEvent]:
    """Note the calls of an answer that has come to its end; those of one that was cut short, or that were not allowed, are no calls."""
    if finished.reason in _CUT_SHORT_REASONS or not turn.request.tools or turn.request.tool_choice == "none":
        return
    taken = {part.id for message in turn.request.messages for part in message.parts if isinstance(part, llm.ToolCall)}
    for call in wanted:
        tool_call = ParsedToolCall.of(call, taken=taken)
        taken.add(tool_call.call_id)
        yield turn.add_tool_call(tool_call)


def _prepare_next_round(services: ChatServices, turn: Turn) -> None:
    """Build the request of the next call, pay for those before, and reserve its price. Who answered so far is asked first."""
    answering = turn.model_id
    candidates = sorted(turn.candidates, key=lambda one: one.id != answering)
    turn.rounds += 1
    may_call = turn.rounds < MAX_ROUNDS and len(turn.parts.tool_calls) < MAX_TOOL_CALLS
    turn.candidates, turn.request = prepare_request(candidates, turn.context, turn.parts.all(), may_call=may_call)
    with user_scope(services.engine, turn.user_id) as connection:
        is_ours = limits.settle(connection, turn.billing_subject, turn.billed_calls, reservations=turn.reservations, turn_id=turn.id)
        if turn.reservations and not is_ours:
            raise Superseded(f"turn {turn.id}")
        turn.reservations.append(_reserve(services, turn, connection))


def _reserve_again(services: ChatServices, turn: Turn) -> None:
    """Reserve for a call that is made anew while the vendor may charge for the one before. Raises BudgetExhausted."""
    with user_scope(services.engine, turn.user_id) as connection:
        turn.reservations.append(_reserve(services, turn, connection))


def _reserve(services: ChatServices, turn: Turn, connection: Connection) -> Reservation:
    amount_usd, first = limits.max_cost_usd([one.model for one in turn.candidates], turn.request), turn.candidates[0]
    detail = limits.reservation_detail(turn.id, first.id, first.model, turn.request)
    return limits.reserve(connection, turn.billing_subject, services.default_limits, amount_usd=amount_usd, detail=detail)
