"""What others do with a turn while it runs, and after: look at it, read its events, stop it."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from uuid import UUID

from functions.chat.desk import Desk
from functions.chat.events import Numbered, Ping, TurnFailed
from functions.chat.replay import follow
from parley.auth.principal import Principal
from parley.db import messages
from parley.db.transactions import principal_scope
from parley.db.turn import approvals, turns
from parley.db.turn.approvals import Approval
from parley.deadline import Deadline
from parley.errors import InvalidInput, NotFound
from parley.turn_recovery import end_waiting_turn, interrupt_if_stale


@dataclass(frozen=True, slots=True)
class TurnState:
    """How a turn stands: what is stored of it, its text so far, and the calls that it asked its user about."""

    record: turns.StoredTurn
    text: str
    approvals: Sequence[Approval]


@dataclass(frozen=True, slots=True)
class Shown:
    """An image and its signed address."""

    id: UUID
    media_type: str
    url: str


def show(services: Desk, principal: Principal, turn_id: UUID) -> TurnState:
    """Return how a turn stands; one whose function died is ended first. Raises NotFound, Unauthorized and Unavailable."""
    state, age_s = _look(services, principal, turn_id)
    if age_s is not None and age_s > turns.STALE_AFTER_S and interrupt_if_stale(services.engine, turn_id, user_id=principal.user_id):
        state, _ = _look(services, principal, turn_id)
    return state


def events(services: Desk, principal: Principal, turn_id: UUID, *, after: int, deadline: Deadline) -> Generator[Numbered | Ping]:
    """Yield a turn's events behind `after`: see `follow`; one that is deleted meanwhile ends with `turn.failed`.

    Raises NotFound, Unauthorized and Unavailable.
    """
    with principal_scope(services.engine, principal) as connection:
        turns.get(connection, turn_id, user_id=principal.user_id)
    has_begun = False
    try:
        for one in follow(services.engine, turn_id, user_id=principal.user_id, after=after, deadline=deadline):
            after, has_begun = one.number if isinstance(one, Numbered) else after, True
            yield one
    except NotFound as gone:
        if not has_begun:
            raise
        yield Numbered(after + 1, TurnFailed(gone))


def stop(services: Desk, principal: Principal, turn_id: UUID) -> None:
    """Ask the turn to stop, whichever worker takes it; end it where none does, because it waits.

    Raises NotFound, Unauthorized and Unavailable.
    """
    is_met = False
    while not is_met:
        with principal_scope(services.engine, principal) as connection:
            status = turns.request_stop(connection, turn_id, user_id=principal.user_id)
        is_met = status != "waiting" or end_waiting_turn(services.engine, turn_id, user_id=principal.user_id, reason="requested")


def image(services: Desk, principal: Principal, id: UUID) -> Shown:
    """Return where an image of the user's can be read. Raises NotFound, Unauthorized and Unavailable."""
    with principal_scope(services.engine, principal):
        pass  # somebody who may still ask
    kept = services.images.find(id, user_id=principal.user_id)
    return Shown(kept.id, kept.media_type, services.images.signed_url(kept))


def number_of(last_event_id: str | None) -> int:
    """Read a `Last-Event-ID`; none means that nothing was seen yet. Raises InvalidInput."""
    if last_event_id is None:
        return 0
    if not (last_event_id.isascii() and last_event_id.isdigit() and int(last_event_id) < 2**31):
        raise InvalidInput("not the id of an event", loc=("header", "Last-Event-ID"))
    return int(last_event_id)


def _look(services: Desk, principal: Principal, turn_id: UUID) -> tuple[TurnState, float | None]:
    user_id = principal.user_id
    with principal_scope(services.engine, principal) as connection:
        record = turns.get(connection, turn_id, user_id=user_id)
        if record.message_id:
            text = messages.get(connection, record.message_id, user_id=user_id).text
        else:
            text = "".join(entry.text for entry in turns.read_events(connection, turn_id, user_id=user_id))
        asked = approvals.list_for_turn(connection, turn_id, user_id=user_id)
        return TurnState(record, text, asked), turns.heartbeat_age_s(connection, turn_id, user_id=user_id)
