"""One call's answer, listened to within its time, and what it took."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from parley.llm import tokens
from parley.llm.calls import Call
from parley.llm.failures import ProviderBusy, ProviderFailed, ProviderTimeout
from parley.llm.provider import sound
from parley.llm.types import Event, Finished, Request, TextDelta, ToolCall

# An answer that takes so long may be stopped, and then its tokens are counted at once.
WARM_UP_AFTER_S = 0.5


class Listening:
    """Passes on the events of a call from its first visible one on, and notes in `call` how it went and what it took.

    The first event must come within the model's `timeout_s` and all of them before `left_s()` is used up. `cut` ends it
    from any thread. Raises ProviderFailed or a kind of it.
    """

    def __init__(self, call: Call, answer: Iterator[Event], request: Request, *, left_s: Callable[[], float]) -> None:
        self._call, self._answer, self._request, self._left_s = call, answer, request, left_s
        self._texts: list[str] = []
        self._is_heard = self._is_visible = self._is_cut = self._is_late = self._is_refused = False
        self._began_s = time.monotonic()
        call.status = "stopped"  # unless it ends otherwise

    def __iter__(self) -> Iterator[Event]:
        try:
            yield from self._visible()
            self._check_end()
        except Exception as exc:
            if self._is_cut:
                return
            self._call.status = "interrupted" if self._is_visible else "failed"
            self._is_refused = isinstance(exc, ProviderBusy)
            if self._is_late and not isinstance(exc, ProviderTimeout):
                raise ProviderTimeout(self._call.model.provider, "no time is left") from exc
            raise
        finally:
            self._close()
            self._count()

    def cut(self) -> None:
        """End the call; what came of it so far stands."""
        self._is_cut = True
        self._close()

    def _visible(self) -> Iterator[Event]:
        held: list[Event] = []
        for event in self._in_time():
            self._note(event)
            held.append(event)
            if self._is_visible or isinstance(event, Finished):
                yield from held
                held = []

    def _in_time(self) -> Iterator[Event]:
        alarm = self._alarm(min(self._call.model.timeout_s, self._left_s()))
        try:
            for event in sound(self._answer, provider=self._call.model.provider):
                if not self._is_heard:
                    self._is_heard = True
                    alarm.cancel()
                    alarm = self._alarm(self._left_s())
                yield event
        finally:
            alarm.cancel()

    def _alarm(self, seconds: float) -> threading.Timer:
        alarm = threading.Timer(max(seconds, 0.0), self._ring)
        alarm.daemon = True
        alarm.start()
        return alarm

    def _ring(self) -> None:
        self._is_late = True
        self._close()

    def _note(self, event: Event) -> None:
        match event:
            case TextDelta(text):
                self._texts.append(text)
                self._is_visible = self._is_visible or bool(text)
                if time.monotonic() - self._began_s > WARM_UP_AFTER_S:
                    tokens.warm_up()
            case ToolCall():
                self._is_visible = True
            case Finished(usage=usage):
                self._call.status, self._call.usage = "completed", usage

    def _check_end(self) -> None:
        """Raise if the answer ended without an end."""
        if self._call.status == "completed" or self._is_cut:
            return
        if self._is_late:
            raise ProviderTimeout(self._call.model.provider, "no time is left" if self._is_heard else "no first event in time")
        raise ProviderFailed(self._call.model.provider, "the answer has no end")

    def _count(self) -> None:
        """Estimate what a call took that has not come to its end. What a vendor refused took nothing."""
        is_begun = getattr(self._answer, "is_begun", False) and not self._is_refused
        is_billed = self._is_heard or is_begun or self._is_late or self._call.status == "stopped"
        if is_billed and self._call.status != "completed":
            self._call.usage = tokens.estimate_usage(self._request, "".join(self._texts))

    def _close(self) -> None:
        if close := getattr(self._answer, "close", None):
            with suppress(ValueError):  # a generator that another thread is inside of
                close()
