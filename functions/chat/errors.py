"""Errors of the chat routes: refusals of a turn, stored failures that are reported again, and how clients of all APIs read errors."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import UUID

from parley.db.turn.stream_leases import TooManyStreams
from parley.errors import IdempotencyKeyReused, NotFound, ParleyError
from parley.llm.catalogue import ModelNotFound, NoModel
from parley.llm.errors import (
    ContextTooLong,
    GuardBlocked,
    ModelCannot,
    ProviderBusy,
    ProviderFailed,
    ProviderMisconfigured,
    ProviderRefused,
    ProviderRejected,
    ProviderTimeout,
)
from parley.metering.limits import BudgetExhausted, RateLimited

# Sent with a stored failure of a previous release, whose log has no `retry_after`.
STORED_FAILURE_RETRY_S = 5.0


class LoggedTurnFailure(ParleyError):
    """A failure read from a turn's log, with the status, code and message of the original error."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(f"stored: {problem['code']}")
        self.status, self.code, self.public_message = problem["status"], problem["code"], problem["detail"]
        default_s = STORED_FAILURE_RETRY_S if self.status == HTTPStatus.SERVICE_UNAVAILABLE else None
        self.retry_after_s = problem.get("retry_after", default_s)


class AssistantNotFound(ParleyError):
    """The assistant does not exist, or is not shared with the user. A conversation keeps the id of an assistant that is gone."""

    status, code = 404, "assistant_not_found"
    public_message = "This assistant was deleted or is not shared with you. Choose another one, or continue without an assistant."

    def __init__(self, assistant_id: UUID) -> None:
        super().__init__(f"no assistant {assistant_id}")


class InProgress(ParleyError):
    """The turn that this Idempotency-Key began is still running."""

    status, code = 409, "in_progress"
    public_message = "The turn of this Idempotency-Key is still running. Join it by a repeated request with `stream`, or retry shortly."
    retry_after_s = 2.0

    def __init__(self, turn_id: UUID) -> None:
        super().__init__(f"turn {turn_id} is running")
        self.public_fields = {"turn_id": str(turn_id)}


class ConversationBusy(ParleyError):
    """Another turn is running in the conversation."""

    status, code = 409, "conversation_busy"
    public_message = "Another turn is running in this conversation. Wait until it ends, stop it, or send `wait`."
    retry_after_s = 2.0
    retryable = True


class NothingToRegenerate(ParleyError):
    """The conversation has no question to answer again."""

    status, code = 409, "nothing_to_regenerate"
    public_message = "This conversation has no question to answer again. Send a message first."


class OutOfTime(ParleyError):
    """The answer was not complete at the function's deadline."""

    status, code = 504, "out_of_time"
    public_message = "The answer took longer than this server allows. Try again, or ask for a shorter answer."
    retryable = True


class ApprovalNeeded(ParleyError):
    """A tool call needs the user's approval, which the client's protocol cannot express."""

    status, code = 409, "approval_needed"
    public_message = "A tool call needs your approval. Approve or deny it at POST /chat/turns/{id}/approvals."


class AlreadyDecided(ParleyError):
    """The tool call already has the opposite decision, or the question has other answers."""

    status, code = 409, "already_decided"
    public_message = "This tool call or question was already decided differently. A decision cannot be changed."


class NotWaiting(ParleyError):
    """The turn no longer waits for approvals or answers."""

    status, code = 409, "not_waiting"
    public_message = "This turn no longer waits for you. Send a new message to continue."


class InterruptsOpen(ParleyError):
    """A run of AG-UI resumes a turn without an answer to all of its interrupts."""

    status, code = 409, "interrupts_open"
    public_message = "Other interrupts of this thread are still open. `resume` with an answer to each of them."


class NotRunning(ParleyError):
    """The turn does not run, so the model will not read a message to it."""

    status, code = 409, "not_running"
    public_message = "This answer is not being written any more. Send the message as the next question."


class TooManyMessages(ParleyError):
    """The turn has as many messages as it may have."""

    status, code = 409, "too_many_messages"
    public_message = "This answer has received too many messages. Send further ones after it."


# A route that calls models declares these errors in the API description.
MODEL_CALL_ERRORS = (
    ProviderFailed,
    ProviderBusy,
    ProviderTimeout,
    OutOfTime,
    ProviderRefused,
    ProviderRejected,
    ProviderMisconfigured,
    GuardBlocked,
)

# The errors of a turn's choice of models, and of its beginning. A failed call of a model has its own status only if the turn is not
# streamed: a stream has already sent status 200.
CHOICE_ERRORS = (ModelNotFound, ContextTooLong, ModelCannot, NoModel, RateLimited, BudgetExhausted, TooManyStreams)
TURN_ERRORS = (NotFound, AssistantNotFound, InProgress, ConversationBusy, IdempotencyKeyReused, *CHOICE_ERRORS, *MODEL_CALL_ERRORS)


def most_exact_error(errors: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the first error, or the error deepest within its field: a union reports one for each of its members."""
    loc = errors[0]["loc"]
    return max((error for error in errors if error["loc"][: len(loc)] == loc), key=lambda error: len(error["loc"]))


def is_retry_useless(error: ParleyError) -> bool:
    """Return whether the SDKs must not repeat the request by themselves.

    A failed turn has stored its question, and a retry would store it twice. A failed call was repeated here already, unless the vendor
    said when to come back.
    """
    is_failure = isinstance(error, ProviderFailed | OutOfTime) and not isinstance(error, ProviderBusy)
    return is_failure or isinstance(error, BudgetExhausted | LoggedTurnFailure)
