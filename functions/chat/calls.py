"""The calls of a round: which are run, which are refused, and which wait for the user's word."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from functions.chat.called import Called
from functions.chat.errors import Waits
from functions.chat.events import Numbered, Ping
from functions.chat.pulse import Pulse
from functions.chat.running import Turn
from functions.chat.sourcing import citable, numbered_behind
from functions.chat.tool_round import GRACE_S, ToolRound, cut
from functions.chat.toolbox import Offered
from parley.tools.approval import is_trusted, needs_approval
from parley.tools.outcome import ToolOutcome
from parley.tools.spec import MAX_TIMEOUT_S
from parley.turn_recovery import DENIED_RESULT

MOST_CALLS = 16
POLL_S = 0.1


@dataclass(slots=True)
class _Sorted:
    """The calls of a round, by what is to be done with them."""

    ready: dict[Called, Offered] = field(default_factory=dict)
    waiting: list[Called] = field(default_factory=list)
    refused: dict[Called, str] = field(default_factory=dict)


def run_calls(turn: Turn, pulse: Pulse) -> Iterator[Numbered | Ping]:
    """Run the turn's open calls side by side, and note each result as it comes.

    Raises Waits if some need an approval, once the others have their results; Stopped, Superseded and OutOfTime.
    """
    sorted_ = _sorted(turn)
    for call, reason in sorted_.refused.items():
        yield pulse.passed(turn.answer(call, ToolOutcome(False, reason, 0.0)))
    if any(one.spec.writes for one in sorted_.ready.values()):
        pulse.tick_now()
    yield from _run(turn, pulse, sorted_.ready)
    if sorted_.waiting:
        raise Waits(sorted_.waiting)


def _run(turn: Turn, pulse: Pulse, ready: dict[Called, Offered]) -> Iterator[Numbered | Ping]:
    most_s = min(MAX_TIMEOUT_S - GRACE_S, max(pulse.deadline.left_s, 0.1))
    running = ToolRound(turn.toolbox, {call: min(one.spec.timeout_s, most_s) for call, one in ready.items()})
    while running.is_running:
        if found := running.next(timeout_s=POLL_S):
            call, outcome = found
            sources = numbered_behind(turn.parts.sources, outcome.found, query=str(call.arguments.get("query", "")))
            told = replace(outcome, content=cut(citable(sources))) if sources else outcome
            yield pulse.passed(turn.answer(call, told, is_vouched=is_trusted(ready[call].spec)))
            yield from (pulse.passed(turn.give(source.given)) for source in sources if source.is_new)
        yield from pulse.beat()


def _sorted(turn: Turn) -> _Sorted:
    """Decide by what stands in the context before any of these calls is run."""
    found, offered = _Sorted(), {one.spec.name: one for one in turn.context.offered}
    is_tainted = turn.context.is_tainted(turn.parts.all())
    beyond = {part["call_id"] for part in turn.parts.calls[MOST_CALLS:]}
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


def _refusal(turn: Turn, call: Called, tool: Offered | None, *, is_beyond: bool) -> str | None:
    """Return why a call is not run, in words for the model."""
    if tool is None:
        return f"There is no tool {call.name!r}."
    if is_beyond:
        return f"Not run: an answer may call {MOST_CALLS} tools."
    if turn.decisions.get(call.call_id) is False:
        return DENIED_RESULT
    if call.call_id in turn.unsound:
        return "Not run: the arguments are no plain JSON."
    return None
