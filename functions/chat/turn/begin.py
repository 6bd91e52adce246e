"""The first of a turn's two transactions: store the question before any model is called.

The transaction chooses models and tools, counts the request and reserves its cost, in five statements. New images are uploaded
before the transaction, and deleted again if the turn does not begin.
"""

import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from uuid import UUID

from functions.chat.errors import ConversationBusy, InProgress
from functions.chat.services import ChatServices
from functions.chat.turn import retrieval
from functions.chat.turn.images import discard_unless_begun
from functions.chat.turn.project import project_of
from functions.chat.turn.prompt import PromptContext, prepare_request, select_tools
from functions.chat.turn.question import Question, QuestionWithHistory, add_history, default_title, with_assistant
from functions.chat.turn.state import Turn
from functions.chat.turn.tools import TurnToolbox
from parley.auth.principal import Principal
from parley.db.engine import Connection
from parley.db.transactions import principal_scope
from parley.db.turn import turn_begin, turns
from parley.db.turn.stream_leases import StreamLease
from parley.db.turn.turn_begin import CertainCommit, ExistingTurn, IdempotencyKey, NewTurn, TurnConflict, TurnPreconditions
from parley.deadline import Deadline
from parley.errors import IdempotencyKeyReused
from parley.ids import new_id
from parley.llm.candidates import preferred_candidates
from parley.llm.catalogue import Catalogue
from parley.llm.messages import Image
from parley.llm.tokens import estimate_tokens
from parley.metering import limits
from parley.metering.limits import BillingSubject
from parley.turn_recovery import end_waiting_turn, interrupt_if_stale

_MAX_ATTEMPTS = 20
_RETRY_PAUSE_S = 0.25
# A request that waits for another turn to end still needs time for its own answer.
_MIN_ANSWER_S = 20.0


class _StaleTurnFound(Exception):
    """The conversation, or the idempotency key, has a running turn whose heartbeat has stopped."""

    def __init__(self, turn_id: UUID) -> None:
        self.turn_id = turn_id


class _WaitingTurnFound(Exception):
    """The conversation has a turn that waits for the user. The new message denies the pending calls."""

    def __init__(self, turn_id: UUID) -> None:
        self.turn_id = turn_id


def begin_turn(
    services: ChatServices,
    principal: Principal,
    question: Question,
    *,
    deadline: Deadline,
    idempotency_key: IdempotencyKey | None,
    joins: bool,
) -> Turn | ExistingTurn:
    """Upload the question's new images and begin the turn.

    Raises NotFound if an image is not the user's, Unavailable, and the errors of `begin_with_retries`.
    """
    if not question.attached:
        return begin_with_retries(services, principal, question, deadline=deadline, idempotency_key=idempotency_key, joins=joins)
    earlier = {id: services.images.find(id, user_id=principal.user_id) for id in question.attached if not isinstance(id, Image)}
    with discard_unless_begun(services.images) as uploaded:
        image_bytes: dict[str, bytes | None] = {}
        parts = []
        for attached in question.attached:
            if isinstance(attached, Image):
                uploaded.append(stored_image := services.images.put(attached, user_id=principal.user_id))
                image_bytes[stored_image.key] = attached.data
            parts.append((stored_image if isinstance(attached, Image) else earlier[attached]).part())
        with_images = replace(question, images=parts, attached=())
        turn = begin_with_retries(services, principal, with_images, deadline=deadline, idempotency_key=idempotency_key, joins=joins)
        if isinstance(turn, Turn):
            uploaded.clear()
            turn.image_bytes.update(image_bytes)
        return turn


def begin_with_retries(
    services: ChatServices,
    principal: Principal,
    question: Question,
    *,
    deadline: Deadline,
    idempotency_key: IdempotencyKey | None,
    joins: bool,
) -> Turn | ExistingTurn:
    """Reserve the request's cost, store the question and the turn, and start embedding the question.

    If `idempotency_key` began an earlier turn, returns that turn unless it is running; with `joins`, also then.
    Retries after a conflict with a concurrent request, and, with `question.wait`, until the conversation's running turn has ended.
    Raises NotFound, AssistantNotFound, IdempotencyKeyReused, InProgress, ConversationBusy, NothingToRegenerate, InvalidInput,
    ModelNotFound, ModelCannot, ContextTooLong, NoModel, RateLimited, BudgetExhausted, TooManyStreams, Unauthorized and
    Unavailable; nothing is stored or counted then.
    """
    catalogue, attempts = services.catalogue(), 0
    lease: StreamLease | None = None
    with ExitStack() as stack:
        while True:
            try:
                return _begin_once(services, catalogue, principal, question, idempotency_key, joins=joins, deadline=deadline)
            except _StaleTurnFound as found:
                interrupt_if_stale(services.engine, found.turn_id, user_id=principal.user_id)
            except _WaitingTurnFound as found:
                end_waiting_turn(services.engine, found.turn_id, user_id=principal.user_id, reason="denied")
            except TurnConflict as exc:
                attempts += 1
                if attempts == _MAX_ATTEMPTS:
                    raise ConversationBusy(str(exc)) from exc
            except ConversationBusy:
                if not question.wait or deadline.left_s < _MIN_ANSWER_S:
                    raise
                if lease is None:
                    limit = services.stream_limits.waits
                    lease = stack.enter_context(StreamLease(services.engine, "wait", user_id=principal.user_id, limit=limit))
                lease.hold()
                time.sleep(_RETRY_PAUSE_S)


def _begin_once(
    services: ChatServices,
    catalogue: Catalogue,
    principal: Principal,
    question: Question,
    idempotency_key: IdempotencyKey | None,
    *,
    joins: bool,
    deadline: Deadline,
) -> Turn | ExistingTurn:
    user_id = principal.user_id
    toolbox_in = services.allowed_toolbox(principal, is_wanted=bool(question.tools))
    with (
        CertainCommit(services.engine, user_id, deadline) as commit,
        principal_scope(services.engine, principal) as connection,
    ):
        preconditions = turn_begin.read_preconditions(
            connection,
            user_id=user_id,
            conversation_id=question.conversation_id,
            idempotency_key=idempotency_key,
            documents=question.named_documents,
            must_exist=not question.opens_conversation,
        )
        if idempotency_key and preconditions.same_key_turn:
            if not preconditions.is_key_expired:
                return _turn_of_key(preconditions.same_key_turn, idempotency_key, joins=joins)
            turn_begin.release_key(connection, idempotency_key, user_id=user_id)
        waiting_turn = _waiting_turn(preconditions, question)
        question = with_assistant(connection, question, preconditions.conversation, principal)
        question_with_history = add_history(connection, preconditions.conversation, question, user_id=user_id)
        turn = _prepare_turn(services, catalogue, connection, principal, question_with_history, preconditions, toolbox_in(connection))
        if waiting_turn:
            # Only now, so that a refused message does not deny the pending calls.
            raise _WaitingTurnFound(waiting_turn.id)
        turn_begin.store_turn(
            connection,
            _new_turn(turn, question_with_history.question, preconditions, idempotency_key),
            max_running=services.stream_limits.answers,
        )
        # Only now, so that a refused or conflicting request calls no vendor. The embedding runs while the transaction commits.
        turn.query_embedding = retrieval.start_query_embedding(services, turn)
        commit.check = partial(turns.exists, turn_id=turn.id, user_id=user_id)
    return turn


def _turn_of_key(existing: ExistingTurn, idempotency_key: IdempotencyKey, *, joins: bool) -> ExistingTurn:
    """Return the earlier turn of a repeated request, also if it is running with `joins`.

    Raises IdempotencyKeyReused, _StaleTurnFound and InProgress.
    """
    if existing.fingerprint != idempotency_key.fingerprint:
        raise IdempotencyKeyReused
    if existing.is_stale:
        raise _StaleTurnFound(existing.id)
    if existing.status == "running" and not joins:
        raise InProgress(existing.id)
    return existing


def _waiting_turn(preconditions: TurnPreconditions, question: Question) -> ExistingTurn | None:
    """Return the conversation's turn that waits for the user, None if no turn is open. A new message denies the turn's pending calls.

    Raises ConversationBusy if another turn is open, or _StaleTurnFound if that turn is stale.
    """
    open_turn = preconditions.open_turn
    if open_turn is None or (open_turn.status == "waiting" and not question.is_regeneration):
        return open_turn
    if open_turn.is_stale:
        raise _StaleTurnFound(open_turn.id)
    raise ConversationBusy(f"turn {open_turn.id} is {open_turn.status}")


def _prepare_turn(
    services: ChatServices,
    catalogue: Catalogue,
    connection: Connection,
    principal: Principal,
    question_with_history: QuestionWithHistory,
    preconditions: TurnPreconditions,
    toolbox: TurnToolbox,
) -> Turn:
    """Choose models and tools, build the request, and reserve its cost."""
    conversation, question = preconditions.conversation, question_with_history.question
    billing_subject = BillingSubject(principal.user_id, principal.api_key_id)
    assistant = question.assistant
    preferred_model = (conversation and conversation.model) or (assistant and assistant.model) or preconditions.default_model
    candidates = preferred_candidates(
        catalogue, services.environment, name=question.model, preferred=preferred_model, subject=billing_subject.user_id
    )
    is_incognito = conversation.is_incognito if conversation else question.is_incognito
    remembers = preconditions.memory_enabled and principal.may_remember and not is_incognito and (not assistant or assistant.uses_memory)
    project = project_of(connection, conversation, principal) if conversation else None
    context = PromptContext(
        conversation=conversation,
        project=project,
        history=question_with_history.history,
        question=question,
        offered=select_tools(toolbox, question, remembers=remembers and not (project and project.limits_memory)),
        summary=question_with_history.summary,
        remembers=remembers,
        is_history_truncated=question_with_history.is_history_truncated,
    )
    candidates, request = prepare_request(candidates, context)
    models = [candidate.model for candidate in candidates]
    amount_usd = limits.max_cost_usd(models, request) + retrieval.max_embedding_cost_usd(services, context)
    turn_id = new_id()
    detail = limits.reservation_detail(turn_id, candidates[0].id, candidates[0].model, request)
    reservation = limits.admit(connection, billing_subject, services.default_limits, amount_usd=amount_usd, detail=detail)
    turn = Turn(
        billing_subject=billing_subject,
        conversation_id=question.conversation_id or new_id(),
        candidates=candidates,
        context=context,
        request=request,
        reservations=[reservation],
        user_message_id=question_with_history.message_id,
        toolbox=toolbox,
        principal=principal,
        id=turn_id,
    )
    if assistant and not assistant.is_own:
        # The instructions are another person's text: tools that write or send data need an approval, as after an untrusted document.
        turn.parts.mark_memory_used()
    turn.start()
    return turn


def _new_turn(turn: Turn, question: Question, preconditions: TurnPreconditions, idempotency_key: IdempotencyKey | None) -> NewTurn:
    return NewTurn(
        turn_id=turn.id,
        user_id=turn.user_id,
        conversation_id=turn.conversation_id,
        last_seq=preconditions.conversation.last_seq if preconditions.conversation else None,
        title=default_title(question.text),
        user_message_id=turn.user_message_id,
        parts=None if question.is_regeneration else [*question.images, {"type": "text", "text": question.text}],
        tokens=estimate_tokens(question.text),
        model=turn.model_id,
        idempotency_key=idempotency_key,
        entries=turn.event_buffer.drain(),
        is_incognito=question.is_incognito,
        assistant_id=question.assistant.id if question.assistant else None,
        assistant_version=question.assistant.version if question.assistant else None,
    )
