"""Errors of the chat routes: why a turn is refused, and how a stored failure is reported again."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import UUID

from parley.errors import ParleyError

STORED_FAILURE_RETRY_S = 5.0  # what a log does not keep


class LoggedTurnFailure(ParleyError):
    """The failure that a turn's log tells of."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(f"stored: {problem['code']}")
        self.status, self.code, self.public_message = problem["status"], problem["code"], problem["detail"]
        if self.status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.retry_after_s = STORED_FAILURE_RETRY_S


class InProgress(ParleyError):
    """The turn of this Idempotency-Key is still running."""

    status, code = 409, "in_progress"
    public_message = "This request is being answered. Read its events, or ask again shortly."
    retry_after_s = 2.0

    def __init__(self, turn_id: UUID) -> None:
        super().__init__(f"turn {turn_id} is running")
        self.public_fields = {"turn_id": str(turn_id)}


class ConversationBusy(ParleyError):
    """Another turn is running in the conversation."""

    status, code = 409, "conversation_busy"
    public_message = "Another turn is running in this conversation. Wait for its end, stop it, or send `wait`."
    retry_after_s = 2.0
    retryable = True


class NothingToRegenerate(ParleyError):
    """The conversation has no question that could be answered anew."""

    status, code = 409, "nothing_to_regenerate"
    public_message = "This conversation has no question yet."


class OutOfTime(ParleyError):
    """The function's time is nearly up."""

    status, code = 504, "out_of_time"
    public_message = "The answer took longer than this server allows."
    retryable = True


class ApprovalNeeded(ParleyError):
    """A turn waits for an approval, where its client has no way to give one."""

    status, code = 409, "approval_needed"
    public_message = "A tool of this answer needs your approval. Give it at /chat/turns/{id}/approvals."


class AlreadyDecided(ParleyError):
    """Something else was decided about this call before."""

    status, code = 409, "already_decided"
    public_message = "This call was decided otherwise before."


class NotWaiting(ParleyError):
    """The turn does not wait for approvals any more."""

    status, code = 409, "not_waiting"
    public_message = "This turn does not wait for an approval any more."
