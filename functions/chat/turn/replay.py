"""A turn's interface to other requests: read its state, follow its events in the log, and ask it to stop."""

import re
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from uuid import UUID

from functions.chat.turn.events import NumberedEvent, Ping, ReplayedEvent, TurnFailed
from functions.chat.turn.heartbeat import PING_S, REPLAY_POLL_S
from functions.chat.turn.images import Images
from parley.auth.principal import Principal
from parley.db import messages
from parley.db.engine import Engine
from parley.db.transactions import principal_scope, user_scope
from parley.db.turn import approvals, turns
from parley.db.turn.approvals import Approval
from parley.db.turn.stream_leases import StreamLease
from parley.db.turn.turns import TurnProgress
from parley.deadline import Deadline
from parley.errors import NotFound, Unavailable
from parley.turn_recovery import interrupt_if_stale


@dataclass(frozen=True, slots=True)
class TurnSnapshot:
    """A turn's stored record, the text of its answer so far, and the tool calls that needed an approval."""

    record: turns.StoredTurn
    text: str
    approvals: Sequence[Approval]


@dataclass(frozen=True, slots=True)
class SignedImage:
    """An image with a signed URL."""

    id: UUID
    media_type: str
    url: str


def follow_events(
    engine: Engine,
    turn_id: UUID,
    *,
    user_id: UUID,
    after: int,
    deadline: Deadline,
    max_followers: int,
    principal: Principal | None = None,
) -> Generator[NumberedEvent | Ping]:
    """Yield the logged events with a number greater than `after` until the turn ends or pauses.

    The last event, terminal or `turn.waiting`, is yielded even if its number is not greater than `after`. No transaction is open
    between two reads of the log. If the deadline passes first, or the access of `principal` ends, the stream ends without a last
    event; the client then reconnects, and is refused if its access has ended. A stale turn is interrupted.

    Raises NotFound, Unavailable and TooManyStreams before the first event. A stream that has begun waits for an unavailable database,
    and ends with `turn.failed` if the turn is deleted.
    """
    has_begun = False
    with StreamLease(engine, "follower", user_id=user_id, limit=max_followers) as lease:
        try:
            for event in _follow(engine, turn_id, lease, user_id=user_id, after=after, deadline=deadline, principal=principal):
                after, has_begun = event.number if isinstance(event, NumberedEvent) else after, True
                yield event
        except NotFound as exc:
            if not has_begun:
                raise
            yield NumberedEvent(after + 1, TurnFailed(exc))


def _follow(
    engine: Engine, turn_id: UUID, lease: StreamLease, *, user_id: UUID, after: int, deadline: Deadline, principal: Principal | None
) -> Generator[NumberedEvent | Ping]:
    pinged_s = None
    while True:
        last = None
        try:
            progress = turns.progress(engine, turn_id, user_id=user_id, after=after, principal=principal)
            if progress.is_access_ended:
                return
            if progress.status != "running":
                last = _last_event(engine, turn_id, user_id=user_id, progress=progress)
            elif progress.is_stale:
                interrupt_if_stale(engine, turn_id, user_id=user_id)
            else:
                lease.hold()
        except Unavailable:
            if pinged_s is None:
                raise
        else:
            for entry in progress.entries[:-1] if progress.status != "running" else progress.entries:
                yield NumberedEvent(entry.number, ReplayedEvent(entry.name, entry.payload(after=after)))
                after, pinged_s = entry.number, time.monotonic()
            if last:
                yield last
                return
            if progress.status != "running" or progress.is_stale:
                continue
        if deadline.left_s <= 0:
            return
        if pinged_s is None or time.monotonic() - pinged_s >= PING_S:
            yield Ping()
            pinged_s = time.monotonic()
        time.sleep(REPLAY_POLL_S)


def stored_terminal_event(engine: Engine, turn_id: UUID, *, user_id: UUID) -> NumberedEvent:
    """Return the terminal event of an ended turn, with the stored answer. Raises NotFound and Unavailable."""
    progress = turns.progress(engine, turn_id, user_id=user_id, after=0)
    if not (last := _last_event(engine, turn_id, user_id=user_id, progress=progress)):
        raise NotFound("log of this turn", turn_id)
    return last


def _last_event(engine: Engine, turn_id: UUID, *, user_id: UUID, progress: TurnProgress) -> NumberedEvent | None:
    """Return the last event of a turn that is not running. Raises NotFound if the log is gone.

    Returns None if the turn is running, for example because it was resumed after `progress` was read.
    """
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


def read_turn(engine: Engine, principal: Principal, turn_id: UUID) -> TurnSnapshot:
    """Return a turn's state, after interrupting the turn if it is stale. Raises NotFound, Unauthorized and Unavailable."""
    snapshot, age_s = _read_snapshot(engine, principal, turn_id)
    if age_s is not None and age_s > turns.STALE_AFTER_S and interrupt_if_stale(engine, turn_id, user_id=principal.user_id):
        snapshot, _ = _read_snapshot(engine, principal, turn_id)
    return snapshot


def read_events(
    engine: Engine,
    principal: Principal,
    turn_id: UUID,
    *,
    after: int,
    deadline: Deadline,
    max_followers: int,
    repeats_last: bool,
) -> Generator[NumberedEvent | Ping]:
    """Yield a turn's events as `follow_events` does.

    Without `repeats_last`, yields nothing if the turn does not run and its last event's number is not greater than `after`.
    Raises Unauthorized, and the errors of `follow_events`.
    """
    with principal_scope(engine, principal) as connection:
        turns.get(connection, turn_id, user_id=principal.user_id)
    events = follow_events(
        engine,
        turn_id,
        user_id=principal.user_id,
        after=after,
        deadline=deadline,
        max_followers=max_followers,
        principal=principal,
    )
    first = next(events, None)
    is_known = isinstance(first, NumberedEvent) and first.number <= after
    if first and (repeats_last or not is_known):
        yield first
        yield from events


def sign_image(images: Images, id: UUID, *, user_id: UUID) -> SignedImage:
    """Return one of the user's images with a signed URL. Raises NotFound and Unavailable."""
    stored_image = images.find(id, user_id=user_id)
    return SignedImage(stored_image.id, stored_image.media_type, images.signed_url(stored_image))


def read_image(images: Images, id: UUID, *, user_id: UUID) -> tuple[bytes, str]:
    """Return the bytes and the media type of one of the user's images. Raises NotFound and Unavailable."""
    stored_image = images.find(id, user_id=user_id)
    content = images.load(stored_image.key)
    if content is None:
        raise NotFound("image", id)
    return content, stored_image.media_type


def parse_last_event_id(last_event_id: str | None) -> int:
    """Return the event number in a `Last-Event-ID` header. Any other text counts as 0: a browser may send the id of another stream."""
    if last_event_id is None or not re.fullmatch(r"[0-9]{1,10}", last_event_id):
        return 0
    number = int(last_event_id)
    return number if number < 2**31 else 0


def _read_snapshot(engine: Engine, principal: Principal, turn_id: UUID) -> tuple[TurnSnapshot, float | None]:
    """Return the turn and, if it is running, the age of its heartbeat in seconds."""
    user_id = principal.user_id
    with principal_scope(engine, principal) as connection:
        record = turns.get(connection, turn_id, user_id=user_id)
        if record.message_id:
            text = messages.get(connection, record.message_id, user_id=user_id).text
        else:
            text = "".join(entry.text for entry in turns.read_events(connection, turn_id, user_id=user_id))
        stored_approvals = approvals.list_for_turn(connection, turn_id, user_id=user_id)
        return TurnSnapshot(record, text, stored_approvals), turns.heartbeat_age_s(connection, turn_id, user_id=user_id)
