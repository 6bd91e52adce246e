"""A turn as other requests see it: its state, its events from the log, and the request to stop it."""

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine

from functions.chat.turn.events import NumberedEvent, Ping, ReplayedEvent, TurnFailed
from functions.chat.turn.images import Images
from parley.auth.principal import Principal
from parley.db import messages
from parley.db.transactions import principal_scope, user_scope
from parley.db.turn import approvals, turns
from parley.db.turn.approvals import Approval
from parley.db.turn.turns import TurnProgress
from parley.deadline import Deadline
from parley.errors import InvalidInput, NotFound
from parley.turn_recovery import end_waiting_turn, interrupt_if_stale

POLL_S = 0.25


PING_S = 10.0


def follow_events(engine: Engine, turn_id: UUID, *, user_id: UUID, after: int, deadline: Deadline) -> Generator[NumberedEvent | Ping]:
    """Yield the events behind `after` as the log gets them, to the one that ends the turn, which always comes.

    A turn that waits for an approval ends it, too, with `turn.waiting`. Nothing is open in the database while it waits.
    Where the time is up first, the stream ends and can be asked for again. Raises NotFound and Unavailable.
    """
    pinged_s = None
    while True:
        progress = turns.progress(engine, turn_id, user_id=user_id, after=after)
        for entry in progress.entries[:-1] if progress.status != "running" else progress.entries:
            yield NumberedEvent(entry.number, ReplayedEvent(entry.name, entry.payload(after=after)))
            after, pinged_s = entry.number, time.monotonic()
        if progress.status != "running":
            if last := _last_event(engine, turn_id, user_id=user_id, progress=progress):
                yield last
                return
            continue
        if progress.is_stale:
            interrupt_if_stale(engine, turn_id, user_id=user_id)
            continue
        if deadline.left_s <= 0:
            return
        if pinged_s is None or time.monotonic() - pinged_s >= PING_S:
            yield Ping()
            pinged_s = time.monotonic()
        time.sleep(POLL_S)


def stored_terminal_event(engine: Engine, turn_id: UUID, *, user_id: UUID) -> NumberedEvent:
    """Return the terminal event of a turn that has ended, with the answer it tells of. Raises NotFound and Unavailable."""
    progress = turns.progress(engine, turn_id, user_id=user_id, after=0)
    if not (last := _last_event(engine, turn_id, user_id=user_id, progress=progress)):
        raise NotFound("log of this turn", turn_id)
    return last


def _last_event(engine: Engine, turn_id: UUID, *, user_id: UUID, progress: TurnProgress) -> NumberedEvent | None:
    """Return the last event of a turn that does not run; None if it runs, as one does that waited a moment ago. Raises NotFound."""
    if not progress.entries:
        progress = turns.progress(engine, turn_id, user_id=user_id, after=0)
    if progress.status == "running":
        return None
    if not progress.entries:
        raise NotFound("log of this turn", turn_id)
    last, answer = progress.entries[-1], None
    if progress.message_id:
        with user_scope(engine, user_id) as connection:
            answer = messages.get(connection, progress.message_id, user_id=user_id)
    return NumberedEvent(last.number, ReplayedEvent(last.name, last.data, answer))


@dataclass(frozen=True, slots=True)
class TurnSnapshot:
    """How a turn stands: what is stored of it, its text so far, and the calls that it asked its user about."""

    record: turns.StoredTurn
    text: str
    approvals: Sequence[Approval]


@dataclass(frozen=True, slots=True)
class SignedImage:
    """An image and its signed address."""

    id: UUID
    media_type: str
    url: str


def read_turn(engine: Engine, principal: Principal, turn_id: UUID) -> TurnSnapshot:
    """Return how a turn stands; one whose function died is ended first. Raises NotFound, Unauthorized and Unavailable."""
    state, age_s = _read_snapshot(engine, principal, turn_id)
    if age_s is not None and age_s > turns.STALE_AFTER_S and interrupt_if_stale(engine, turn_id, user_id=principal.user_id):
        state, _ = _read_snapshot(engine, principal, turn_id)
    return state


def read_events(engine: Engine, principal: Principal, turn_id: UUID, *, after: int, deadline: Deadline) -> Generator[NumberedEvent | Ping]:
    """Yield a turn's events behind `after`: see `follow`; one that is deleted meanwhile ends with `turn.failed`.

    Raises NotFound, Unauthorized and Unavailable.
    """
    with principal_scope(engine, principal) as connection:
        turns.get(connection, turn_id, user_id=principal.user_id)
    has_begun = False
    try:
        for one in follow_events(engine, turn_id, user_id=principal.user_id, after=after, deadline=deadline):
            after, has_begun = one.number if isinstance(one, NumberedEvent) else after, True
            yield one
    except NotFound as gone:
        if not has_begun:
            raise
        yield NumberedEvent(after + 1, TurnFailed(gone))


def request_stop(engine: Engine, principal: Principal, turn_id: UUID) -> None:
    """Ask the turn to stop, whichever worker takes it; end it where none does, because it waits.

    Raises NotFound, Unauthorized and Unavailable.
    """
    is_met = False
    while not is_met:
        with principal_scope(engine, principal) as connection:
            status = turns.request_stop(connection, turn_id, user_id=principal.user_id)
        is_met = status != "waiting" or end_waiting_turn(engine, turn_id, user_id=principal.user_id, reason="requested")


def sign_image(images: Images, id: UUID, *, user_id: UUID) -> SignedImage:
    """Return where an image of the user's can be read. Raises NotFound and Unavailable."""
    stored_image = images.find(id, user_id=user_id)
    return SignedImage(stored_image.id, stored_image.media_type, images.signed_url(stored_image))


def parse_last_event_id(last_event_id: str | None) -> int:
    """Read a `Last-Event-ID`; none means that nothing was seen yet. Raises InvalidInput."""
    if last_event_id is None:
        return 0
    if not (last_event_id.isascii() and last_event_id.isdigit() and int(last_event_id) < 2**31):
        raise InvalidInput("not the id of an event", loc=("header", "Last-Event-ID"))
    return int(last_event_id)


def _read_snapshot(engine: Engine, principal: Principal, turn_id: UUID) -> tuple[TurnSnapshot, float | None]:
    user_id = principal.user_id
    with principal_scope(engine, principal) as connection:
        record = turns.get(connection, turn_id, user_id=user_id)
        if record.message_id:
            text = messages.get(connection, record.message_id, user_id=user_id).text
        else:
            text = "".join(entry.text for entry in turns.read_events(connection, turn_id, user_id=user_id))
        asked = approvals.list_for_turn(connection, turn_id, user_id=user_id)
        return TurnSnapshot(record, text, asked), turns.heartbeat_age_s(connection, turn_id, user_id=user_id)
