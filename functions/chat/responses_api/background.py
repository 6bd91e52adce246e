"""Responses that run in the background: the client has an id at once, and reads, follows or cancels the response by it.

The invocation that creates a response also runs it, after its HTTP response or while it streams. Twice a second it logs the pieces of
the answer and refreshes a heartbeat, so that any worker can show them. A cancelled or deleted response loses its heartbeat, which ends
the run. If the worker dies, the heartbeat stops, and the next reader ends the response as failed.
"""

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import chain
from uuid import UUID

from functions.chat.completions.answer_end import until_finished
from functions.chat.completions.call_sequence import in_sequence
from functions.chat.completions.completion import CompletionEvent, CompletionStream
from functions.chat.responses_api.events import Event, ResponseEvents, end_type, response_error
from functions.chat.responses_api.pieces import events_of_document, from_piece, output_events, to_piece
from functions.chat.responses_api.response_schemas import ResponseOut
from functions.chat.responses_api.schemas import ResponseIn
from functions.chat.responses_api.stored_responses import append_to_conversation, parse_id, stored_response
from functions.chat.services import ChatServices
from functions.chat.turn.events import Ping
from functions.chat.turn.heartbeat import PING_S, REPLAY_POLL_S, TICK_S
from parley.auth.principal import Principal
from parley.db.engine import Connection, Engine
from parley.db.responses_api import responses
from parley.db.responses_api.responses import Piece, StoredResponse
from parley.db.transactions import principal_scope, user_scope
from parley.db.turn.stream_leases import StreamLease
from parley.deadline import Deadline, retry_while_unavailable
from parley.errors import InvalidInput, ParleyError, Unavailable
from parley.observability import logger

# The pause before the next attempt to log after the database was unavailable.
_RETRY_S = 2.0


class ResponseInterrupted(ParleyError):
    """The worker that ran the response died."""

    status, code = 500, "interrupted"
    public_message = "The response was interrupted, because the process that ran it has ended. Create it again."


def begin_run(
    services: ChatServices, principal: Principal, body: ResponseIn, completion: CompletionStream, events: ResponseEvents, deadline: Deadline
) -> Generator[Event | Ping] | None:
    """Store the response, and return its events, which run to their end even if they are closed. Exhaust or close them.

    Returns None if the response is stored already, because the request was repeated. Raises Unauthorized and Unavailable.
    """
    begun = events.begin()
    stored = stored_response(body, events.response)
    try:
        with principal_scope(services.engine, principal) as connection:
            is_new = responses.begin(connection, stored, user_id=principal.user_id)
    except BaseException:
        completion.abandon()
        raise
    if not is_new:
        completion.abandon()
        return None
    log = _PieceLog(services.engine, stored, user_id=principal.user_id)
    return _run_to_the_end(chain(begun, _run(completion, events, log, deadline)))


def read(services: ChatServices, principal: Principal, id: str) -> ResponseOut:
    """Return a stored response, after ending it if its worker has died. Raises NotFound."""
    with principal_scope(services.engine, principal) as connection:
        stored = responses.get(connection, parse_id(id), user_id=principal.user_id)
        if stored.is_stale:
            return _break_off(connection, stored.id, user_id=principal.user_id, is_cancelled=False)
    return ResponseOut.model_validate(stored.document)


def cancel(services: ChatServices, principal: Principal, id: str) -> ResponseOut:
    """Cancel a response that runs in the background, and return it; one that has ended stays as it is.

    Raises NotFound, and InvalidInput for a response that was not created in the background.
    """
    with principal_scope(services.engine, principal) as connection:
        stored = responses.get(connection, parse_id(id), user_id=principal.user_id)
        if not stored.document.get("background"):
            raise InvalidInput("only a response that was created with background can be cancelled", loc=("path", "id"))
        return _break_off(connection, stored.id, user_id=principal.user_id, is_cancelled=not stored.is_stale)


def _break_off(connection: Connection, response_id: UUID, *, user_id: UUID, is_cancelled: bool) -> ResponseOut:
    """End a running response with the pieces so far, and return it; return a response that has ended as it is."""
    stored = responses.get(connection, response_id, user_id=user_id, for_update=True)
    if not stored.is_running:
        return ResponseOut.model_validate(stored.document)
    events = events_of_document(stored.document)
    for piece in responses.pieces_after(connection, response_id, 0, user_id=user_id):
        events.add(from_piece(piece))
    if is_cancelled:
        events.cancel()
    else:
        logger.warning("response_interrupted", response_id=str(response_id))
        events.fail(response_error(ResponseInterrupted()))
    responses.finish(connection, response_id, events.response.model_dump(mode="json"), user_id=user_id)
    return events.response


class _PieceLog:
    """Logs the pieces of a running response, and notices when another process has ended it."""

    def __init__(self, engine: Engine, stored: StoredResponse, *, user_id: UUID) -> None:
        self._engine, self._stored, self._id, self._user_id = engine, stored, stored.id, user_id
        self._pending: list[Piece] = []
        self._logged = 0
        self._due_s = time.monotonic() + TICK_S

    def add(self, event: CompletionEvent) -> None:
        """Note an event for the next tick."""
        if (piece := to_piece(event)) is not None:
            self._pending.append(piece)

    def tick(self) -> bool:
        """Log the new pieces if a tick is due. Return False once the response has ended elsewhere or was deleted.

        While the database is unavailable, the pieces wait for the next tick.
        """
        if time.monotonic() < self._due_s:
            return True
        try:
            is_running = self._record()
        except Unavailable:
            logger.exception("response_logging_failed", response_id=str(self._id))
            self._due_s = time.monotonic() + _RETRY_S
            return True
        self._due_s = time.monotonic() + TICK_S
        return is_running

    def finish(self, response: ResponseOut, deadline: Deadline) -> ResponseOut:
        """Log the last pieces and store the ended response. Return the stored one if another process has ended it before.

        Raises NotFound if it was deleted, and Unavailable.
        """
        return retry_while_unavailable(partial(self._finish, response), deadline)

    def _record(self) -> bool:
        with user_scope(self._engine, self._user_id) as connection:
            is_running = responses.record_pieces(connection, self._id, self._pending, number=self._logged, user_id=self._user_id)
        self._logged += len(self._pending)
        self._pending = []
        return is_running

    def _finish(self, response: ResponseOut) -> ResponseOut:
        with user_scope(self._engine, self._user_id) as connection:
            responses.record_pieces(connection, self._id, self._pending, number=self._logged, user_id=self._user_id)
            document = response.model_dump(mode="json")
            if responses.finish(connection, self._id, document, user_id=self._user_id):
                append_to_conversation(connection, self._stored, document, user_id=self._user_id)
                return response
            return ResponseOut.model_validate(responses.get(connection, self._id, user_id=self._user_id).document)


def _run(completion: CompletionStream, events: ResponseEvents, log: _PieceLog, deadline: Deadline) -> Iterator[Event | Ping]:
    """Run the completion to its end, or until the response has ended elsewhere, and yield its events."""
    shown_s = time.monotonic()
    last: list[Event] = []
    with closing(completion.events):
        try:
            for event in in_sequence(until_finished(completion.events)):
                log.add(event)
                last = events.add(event)
                if events.response.status != "in_progress":
                    break
                yield from last
                if last:
                    shown_s = time.monotonic()
                elif time.monotonic() - shown_s >= PING_S:
                    shown_s = time.monotonic()
                    yield Ping()
                if not log.tick():
                    last = events.cancel()
                    break
        except ParleyError as exc:
            logger.warning("completion_failed", problem=exc.code, reason=str(exc))
            last = events.fail(response_error(exc))
        except Exception:  # the outermost handler of a run: the response always ends
            logger.exception("completion_crashed")
            last = events.fail(response_error(ParleyError()))
    try:
        ended = log.finish(events.response, deadline)
    except ParleyError as exc:
        logger.warning("response_not_stored", problem=exc.code)
        yield from last
    else:
        # The stored document counts if another process has ended the response.
        yield from last[:-1]
        yield last[-1] if ended is events.response else last[-1] | {"type": end_type(ended), "response": ended.model_dump()}


def _run_to_the_end(events: Iterator[Event | Ping]) -> Generator[Event | Ping]:
    """Yield the events. If the client disconnects, run the response to its end anyway."""
    try:
        for event in events:  # noqa: UP028 - `yield from` would close `events` too, and so break off the response
            yield event
    except GeneratorExit:
        for _ in events:
            pass
        raise


def follow(services: ChatServices, principal: Principal, id: str, *, after: int, deadline: Deadline) -> Generator[Event | Ping]:
    """Yield the events of a response with a greater sequence number than `after` until it ends. The last event is always yielded.

    If the deadline passes first, the stream ends without a last event, and the client asks for the rest. Raises NotFound and
    TooManyStreams before the first event.
    """
    response_id, limit = parse_id(id), services.stream_limits.followers
    with StreamLease(services.engine, "follower", user_id=principal.user_id, limit=limit) as lease:
        reader, shown_s = _Reader(), float("-inf")
        while True:
            lease.hold()
            stored, pieces = _progress(services.engine, principal, response_id, reader.count)
            new = reader.add(stored, pieces)
            shown = [event for event in new if _number(event) > after]
            if not stored.is_running:
                yield from shown or new[-1:]
                return
            yield from shown
            if deadline.left_s <= 0:
                return
            if shown:
                shown_s = time.monotonic()
            elif time.monotonic() - shown_s >= PING_S:
                shown_s = time.monotonic()
                yield Ping()
            time.sleep(REPLAY_POLL_S)


class _Reader:
    """Turns the stored state of a response into its events. `count` is the number of pieces read so far."""

    def __init__(self) -> None:
        self._events: ResponseEvents | None = None
        self.count = 0

    def add(self, stored: StoredResponse, pieces: list[Piece]) -> list[Event]:
        """Return the events that follow from new pieces, and those of the end if the response has ended."""
        new: list[Event] = []
        if self._events is None:
            self._events = events_of_document(stored.document)
            new += self._events.begin()
        arrived: Iterable[CompletionEvent] = map(from_piece, pieces)
        self.count += len(pieces)
        if not stored.is_running and not self.count:  # never logged, or long ago
            arrived = output_events(stored.document["output"])
        for event in arrived:
            new += self._events.add(event)
        return new if stored.is_running else new + self._events.end_as(ResponseOut.model_validate(stored.document))


def _progress(engine: Engine, principal: Principal, response_id: UUID, count: int) -> tuple[StoredResponse, list[Piece]]:
    """Return a response with its pieces after the first `count`, after ending it if its worker has died. Raises NotFound."""
    user_id = principal.user_id
    with principal_scope(engine, principal) as connection:
        stored = responses.get(connection, response_id, user_id=user_id)
        if stored.is_stale:
            _break_off(connection, response_id, user_id=user_id, is_cancelled=False)
            stored = responses.get(connection, response_id, user_id=user_id)
        return stored, responses.pieces_after(connection, response_id, count, user_id=user_id)


def _number(event: Event) -> int:
    number = event["sequence_number"]
    return number if isinstance(number, int) else 0
