"""Vendor calls in background threads, whose callers continue without the result after a timeout.

A thread cannot be stopped. Until a call that timed out has ended, no further call of its kind starts: a hanging service
then keeps only the threads of the calls that were already running, and does not take one more with each request.
"""

import threading
import time
from collections.abc import Callable

from parley.errors import ParleyError
from parley.llm.model import ModelCall
from parley.observability import logger


class BackgroundCalls:
    """The background calls of one kind in this worker. A call that times out blocks further ones.

    `failure_event` is the log event of a call that fails. The block lasts until the call has ended, and at least for `pause_s`:
    a slow service is likely to be slow again, and each attempt costs time and money.
    """

    def __init__(self, kind: str, *, failure_event: str, pause_s: float = 0.0) -> None:
        self.kind, self.failure_event = kind, failure_event
        self._pause_s = pause_s
        self._timed_out: BackgroundCall[object] | None = None
        self._paused_until_s = 0.0

    @property
    def is_blocked(self) -> bool:
        """Whether a call that timed out is still running, or the pause after it has not ended."""
        is_hanging = self._timed_out is not None and self._timed_out.is_running
        return is_hanging or time.monotonic() < self._paused_until_s

    def wait_until_free(self, timeout_s: float) -> bool:
        """Wait for a call that timed out to end, for `timeout_s` at most. Return whether a further call may start."""
        if self._timed_out is not None:
            self._timed_out.wait(timeout_s)
        return not self.is_blocked

    def block(self, call: "BackgroundCall[object]", waited_s: float) -> None:
        """Block further calls, because `call` timed out after `waited_s`."""
        self._timed_out = call
        if self._pause_s:
            logger.warning("background_calls_paused", kind=self.kind, waited_s=waited_s, pause_s=self._pause_s)
            self._paused_until_s = time.monotonic() + self._pause_s


class BackgroundCall[T]:
    """A running vendor call. `call` must be settled whether or not the result is used."""

    def __init__(self, calls: BackgroundCalls, call: ModelCall, run: Callable[[], T]) -> None:
        """Start the call. Check `calls.is_blocked` first."""
        self.call = call
        self._calls, self._run_call = calls, run
        self._result: T | None = None
        self._thread = threading.Thread(target=self._run, name=f"background-{calls.kind}", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether the call has not ended yet."""
        return self._thread.is_alive()

    def wait(self, timeout_s: float) -> None:
        """Wait for the call to end, for `timeout_s` at most."""
        self._thread.join(timeout_s)

    def result(self, *, timeout_s: float) -> T | None:
        """Return the result, or None if it is not ready within `timeout_s` or the call failed."""
        self.wait(timeout_s)
        if self.is_running:
            self._calls.block(self, timeout_s)
            return None
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._run_call()
        except ParleyError as exc:
            logger.warning(self._calls.failure_event, problem=exc.code, reason=str(exc))
        except Exception:  # a thread's outermost handler: the caller continues without the result
            logger.exception("background_call_crashed", kind=self._calls.kind)
