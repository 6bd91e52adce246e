"""One call of a model while its answer arrives: time limits, cancellation, and the usage that must be paid."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from parley.deadline import AlarmClock
from parley.llm import tokens
from parley.llm.errors import ProviderBusy, ProviderFailed, ProviderTimeout
from parley.llm.messages import Finished, ModelEvent, ModelRequest, ReasoningDelta, TextDelta, ToolCall, ToolCallDelta
from parley.llm.model import ModelCall
from parley.llm.provider import validated_events

# An answer that takes longer may be stopped, and its tokens must then be counted quickly.
WARM_UP_AFTER_S = 0.5
_alarm_clock = AlarmClock()


class CallMonitor:
    """Iterates over the events of a call and records its status and usage in `call`.

    Events before the first visible one are held back until it arrives. The first event must arrive within the model's
    `timeout_s`, and the last before `left_s()` reaches zero. `cancel` ends the call from any thread. Raises ProviderFailed
    or a subclass.
    """

    def __init__(self, call: ModelCall, events: Iterator[ModelEvent], request: ModelRequest, *, left_s: Callable[[], float]) -> None:
        self._call, self._events, self._request, self._left_s = call, events, request, left_s
        self._texts: list[str] = []
        self._has_events = self._is_visible = self._is_cancelled = self._is_late = self._is_refused = False
        self._began_s = time.monotonic()
        call.status = "stopped"  # stays if `cancel` ends the call

    def __iter__(self) -> Iterator[ModelEvent]:
        try:
            yield from self._visible()
            self._check_end()
        except Exception as exc:
            if self._is_cancelled:
                return
            self._call.status = "interrupted" if self._is_visible else "failed"
            self._is_refused = isinstance(exc, ProviderBusy)
            if self._is_late and not isinstance(exc, ProviderTimeout):
                raise ProviderTimeout(self._call.model.provider, "no time left") from exc
            raise
        finally:
            self._close()
            self._estimate_usage()
            self._call.add_guard_hits(getattr(self._events, "guard_hits", ()))

    def cancel(self) -> None:
        """End the call. The events so far remain valid."""
        self._is_cancelled = True
        self._close()

    def _visible(self) -> Iterator[ModelEvent]:
        buffered: list[ModelEvent] = []
        for event in self._in_time():
            self._note(event)
            if event == ReasoningDelta(""):  # the model works: more than the wait for the first event has ended
                continue
            buffered.append(event)
            if self._is_visible or isinstance(event, Finished):
                yield from buffered
                buffered = []

    def _in_time(self) -> Iterator[ModelEvent]:
        alarm = _alarm_clock.set(min(self._call.model.timeout_s, self._left_s()), self._expire)
        try:
            for event in self._timed(validated_events(self._events, provider=self._call.model.provider)):
                if not self._has_events:
                    self._has_events = True
                    alarm.cancel()
                    alarm = _alarm_clock.set(self._left_s(), self._expire)
                yield event
        finally:
            alarm.cancel()

    def _timed(self, events: Iterator[ModelEvent]) -> Iterator[ModelEvent]:
        """Yield the events, and add the wait for each to the call's `waited_s`."""
        while True:
            started_s = time.perf_counter()
            try:
                event = next(events, None)
            finally:
                self._call.waited_s += time.perf_counter() - started_s
            if event is None:
                return
            yield event

    def _expire(self) -> None:
        self._is_late = True
        self._close()

    def _note(self, event: ModelEvent) -> None:
        match event:
            case TextDelta(text):
                self._texts.append(text)
                self._is_visible = self._is_visible or bool(text)
                if time.monotonic() - self._began_s > WARM_UP_AFTER_S:
                    tokens.warm_up()
            case ReasoningDelta(text):
                self._texts.append(text)
            case ToolCall():
                self._is_visible = True
            case ToolCallDelta(arguments=arguments):
                self._texts.append(arguments)
                self._is_visible = True
            case Finished(usage=usage):
                self._call.status, self._call.usage = "completed", usage

    def _check_end(self) -> None:
        """Raise an error if the stream ended without `Finished`."""
        if self._call.status == "completed" or self._is_cancelled:
            return
        if self._is_late:
            raise ProviderTimeout(self._call.model.provider, "no time left" if self._has_events else "no first event in time")
        raise ProviderFailed(self._call.model.provider, "the answer has no end")

    def _estimate_usage(self) -> None:
        """Estimate the usage of a call without `Finished`. A call that the vendor refused because of load has no usage."""
        is_begun = getattr(self._events, "is_begun", False) and not self._is_refused
        is_billed = self._has_events or is_begun or self._is_late or self._call.status == "stopped"
        if is_billed and self._call.status != "completed":
            self._call.usage = tokens.estimate_usage(self._request, "".join(self._texts))

    def _close(self) -> None:
        if close := getattr(self._events, "close", None):
            with suppress(ValueError):  # another thread is executing the generator
                close()
