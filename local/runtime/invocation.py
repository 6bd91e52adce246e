"""One invocation of a function, from the queue to its outcome."""

import asyncio
import time
import uuid

from local.runtime.outcome import Failure, HandlerResult, Outcome, Stream


class Invocation:
    """An event, and a future for its outcome. The first outcome counts; later outcomes are ignored.

    `user` identifies the caller for the pool, which serves users in turn; it is empty for invocations without a caller. A nested
    invocation comes from a function, which waits for it on behalf of the user.
    """

    def __init__(self, payload: bytes, *, trace_id: str = "", user: str = "", is_nested: bool = False) -> None:
        self.id = str(uuid.uuid4())
        self.payload = payload
        self.trace_id = trace_id
        self.user = user
        self.is_nested = is_nested
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.is_over = False
        self.failure: Failure | None = None
        self.started_at: float | None = None
        self._stream: Stream | None = None

    def detach(self) -> None:
        """Discard the outcome when it arrives, because the caller has stopped waiting. The function runs to its end, as on AWS."""
        self.outcome.add_done_callback(_abandon_stream)

    def start(self) -> None:
        """Record that a worker has taken the invocation."""
        self.started_at = time.monotonic()

    @property
    def elapsed_ms(self) -> float:
        return (time.monotonic() - self.started_at) * 1000 if self.started_at else 0.0

    def answer(self, payload: bytes) -> None:
        self._settle(HandlerResult(payload))
        self.is_over = True

    def begin_stream(self, content_type: str) -> Stream:
        """Set a new stream as the outcome and return the stream."""
        self._stream = Stream(content_type)
        self._settle(self._stream)
        return self._stream

    def end_stream(self, failure: Failure | None = None) -> None:
        if self._stream and not self.is_over:
            self._stream.end(failure)
        self.failure = failure
        self.is_over = True

    def fail(self, failure: Failure) -> None:
        """End the invocation with a failure. If a stream has begun, the failure ends the stream."""
        if self._stream:
            self.end_stream(failure)
        else:
            self._settle(failure)
            self.failure = failure
            self.is_over = True

    def _settle(self, outcome: Outcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


def _abandon_stream(outcome: asyncio.Future[Outcome]) -> None:
    if not outcome.cancelled() and isinstance(stream := outcome.result(), Stream):
        stream.abandon()
