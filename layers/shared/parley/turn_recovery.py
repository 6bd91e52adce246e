"""Stops turns, and ends those that cannot finish by themselves: the function died, or a waiting turn was denied or not decided in time.

A stale turn, whose heartbeat has stopped, becomes `interrupted`: the logged part of its answer is stored, and its model
calls are settled by an estimate. A waiting turn ends as `turn.stopped`, and its open tool calls get results that state
the reason.
"""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from parley.auth.principal import Principal
from parley.db.engine import Connection, Engine
from parley.db.metering import usage
from parley.db.metering.usage import TurnCost
from parley.db.transactions import principal_scope, user_scope
from parley.db.turn import approvals, turn_checkpoint, turn_end, turns
from parley.db.turn.message_parts import AnswerParts
from parley.db.turn.turn_checkpoint import Checkpoint, LockedTurn
from parley.db.turn.turn_end import TurnResult
from parley.db.turn.turn_events import LoggedEvent
from parley.ids import new_id
from parley.llm.tokens import estimate_tokens
from parley.observability import logger, put_metrics

type WaitEndReason = Literal["requested", "denied", "approval_expired"]

FUNCTION_LOST = "function_lost"
DENIED_RESULT = "Not run: the user denied this call."
_RESULTS_BY_REASON: Mapping[WaitEndReason, str] = MappingProxyType(
    {
        "requested": "Not run: the user stopped the answer.",
        "denied": DENIED_RESULT,
        "approval_expired": "Not run: the user did not approve it in time.",
    }
)


# The results of calls whose question to the user is still open.
_UNANSWERED_RESULTS: Mapping[WaitEndReason, str] = MappingProxyType(
    {
        "requested": "Not answered: the user stopped the answer.",
        "denied": "Not answered: the user sent a new message instead.",
        "approval_expired": "Not answered: the user did not answer in time.",
    }
)


class _TurnIsAlive(Exception):
    """The turn has meanwhile ended or sent a heartbeat. Raised to roll back the settlement."""


def request_stop(engine: Engine, principal: Principal, turn_id: UUID) -> None:
    """Ask the worker that runs the turn to stop it; end a waiting or a stale turn here, because no worker runs it.

    A turn that has ended does not change. Raises NotFound, Unauthorized and Unavailable.
    """
    is_done = False
    while not is_done:
        with principal_scope(engine, principal) as connection:
            status = turns.request_stop(connection, turn_id, user_id=principal.user_id)
            age_s = turns.heartbeat_age_s(connection, turn_id, user_id=principal.user_id) if status == "running" else None
        if age_s is not None and age_s > turns.STALE_AFTER_S:
            interrupt_if_stale(engine, turn_id, user_id=principal.user_id)
        # If the turn was resumed in between, ask again: a worker runs it now.
        is_done = status != "waiting" or end_waiting_turn(engine, turn_id, user_id=principal.user_id, reason="requested")


def interrupt_if_stale(engine: Engine, turn_id: UUID, *, user_id: UUID) -> bool:
    """Mark a running turn `interrupted` if its heartbeat has stopped; return False if it is alive or has ended.

    The logged texts, tool calls and results become the answer, which may be empty, and the model calls are settled by an
    estimate. Raises NotFound and Unavailable.
    """
    try:
        with user_scope(engine, user_id) as connection:
            turn = turns.get(connection, turn_id, user_id=user_id)
            if turn.status != "running":
                return False
            _interrupt(connection, turn, user_id=user_id)
    except _TurnIsAlive:
        return False
    logger.warning("turn_interrupted", turn_id=str(turn_id))
    put_metrics({"Turns": 1}, outcome="interrupted", reason=FUNCTION_LOST)
    return True


def _interrupt(connection: Connection, turn: turns.StoredTurn, *, user_id: UUID) -> None:
    checkpoint = turn_checkpoint.read_checkpoint(connection, turn.id, user_id=user_id)
    logged = turns.read_events(connection, turn.id, user_id=user_id, after=checkpoint.upto)
    logged_text = "".join(entry.text for entry in logged)
    output_tokens = checkpoint.output_tokens + (estimate_tokens(logged_text) if logged_text else 0)
    # Settle before `finish` locks the conversation: a starting turn takes these locks in the same order.
    spent = usage.settle_lost_calls(connection, turn.id, user_id=user_id, output_tokens=output_tokens)
    turn_result = _interrupted_result(turn, checkpoint, logged, spent)
    finished = turn_end.finish(connection, turn.id, turn_result, user_id=user_id, conversation_id=turn.conversation_id, only_if_stale=True)
    if finished is None:
        raise _TurnIsAlive


def _interrupted_result(turn: turns.StoredTurn, checkpoint: Checkpoint, logged: Sequence[LoggedEvent], spent: TurnCost) -> TurnResult:
    message_id, number = new_id(), turn.last_event + 1
    usage = {"input_tokens": spent.input_tokens, "output_tokens": spent.output_tokens, "cost_usd": float(spent.cost_usd)}
    last = LoggedEvent(number, "turn.interrupted", {"message_id": str(message_id), "reason": FUNCTION_LOST, "usage": usage})
    return TurnResult(
        "interrupted",
        message_id,
        AnswerParts.from_events(logged, before=checkpoint.parts).stored(),
        turn.model,
        [last],
        number,
        error_code=FUNCTION_LOST,
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        cost_usd=spent.cost_usd,
    )


def end_waiting_turn(engine: Engine, turn_id: UUID, *, user_id: UUID, reason: WaitEndReason) -> bool:
    """End a waiting turn as `turn.stopped` and store its partial answer; return False if it is not waiting any more.

    Its open tool calls get results that state why they were not run, or not answered. Raises NotFound and Unavailable.
    """
    with user_scope(engine, user_id) as connection:
        turn = turn_checkpoint.lock_turn(connection, turn_id, user_id=user_id, conversation_too=True)
        if turn.status != "waiting":
            return False
        turn_checkpoint.remove_waiting_event(connection, turn_id, user_id=user_id)
        asking = approvals.asking_calls(connection, turn_id, user_id=user_id)
        turn_result = _stopped_result(turn, reason, asking)
        finished = turn_end.finish(connection, turn_id, turn_result, user_id=user_id, conversation_id=turn.conversation_id, was="waiting")
    if finished is None:
        return False
    put_metrics({"Turns": 1}, outcome="stopped", reason=reason)
    return True


def _stopped_result(turn: LockedTurn, reason: WaitEndReason, asking: Collection[str]) -> TurnResult:
    """Return the end of a waiting turn. `asking` has the ids of the calls whose questions are open."""
    checkpoint, message_id, entries = turn.checkpoint, new_id(), []
    parts = AnswerParts(checkpoint.parts)
    for number, call in enumerate(parts.pending_tool_calls, turn.last_event + 1):
        content = (_UNANSWERED_RESULTS if call["call_id"] in asking else _RESULTS_BY_REASON)[reason]
        parts.add_tool_result(call["call_id"], ok=False, content=content)
        data = {"call_id": call["call_id"], "name": call["name"], "ok": False, "content": content, "elapsed_ms": 0.0}
        entries.append(LoggedEvent(number, "tool.result", data))
    usage = {"input_tokens": checkpoint.input_tokens, "output_tokens": checkpoint.output_tokens, "cost_usd": float(checkpoint.cost_usd)}
    last = turn.last_event + len(entries) + 1
    entries.append(LoggedEvent(last, "turn.stopped", {"message_id": str(message_id), "reason": reason, "usage": usage}))
    return TurnResult(
        "stopped",
        message_id,
        parts.stored(),
        turn.model,
        entries,
        last,
        input_tokens=checkpoint.input_tokens,
        output_tokens=checkpoint.output_tokens,
        cost_usd=checkpoint.cost_usd,
        first_token_ms=checkpoint.first_token_ms,
    )
