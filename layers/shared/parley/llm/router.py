"""The only retry loop: calls models in order until a model answers or the calls or the time are used up.

A call that fails before its first visible text is repeated, immediately with the next candidate or after a pause with the
same candidate. After the first visible text no call is repeated, because the reader has seen the text. A request that a vendor
rejects is not repeated. A model whose vendor refuses our key is skipped. The SDKs' own retries are disabled.
"""

import random
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self
from uuid import UUID

from parley.errors import ParleyError, Unavailable
from parley.llm.call_monitor import CallMonitor
from parley.llm.candidates import Candidate
from parley.llm.circuit_breaker import CircuitBreaker, circuit_key
from parley.llm.errors import ProviderBusy, ProviderFailed, ProviderMisconfigured, ProviderRejected, ProviderTimeout
from parley.llm.genai_spans import end_chat_span, note_event, start_chat_span
from parley.llm.messages import ModelEvent, ModelRequest
from parley.llm.model import Model, ModelCall
from parley.llm.provider import Provider
from parley.observability import logger, put_metrics
from parley.observability.traces import NO_SPAN, Span


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The highest number of calls for one request, and the pauses before the same model is called again."""

    calls: int = 3
    first_pause_s: float = 0.5
    longest_pause_s: float = 15.0


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A call of a model begins. Earlier calls of the stream failed before their first visible event."""

    call: ModelCall


type ModelStreamEvent = CallStarted | ModelEvent


class ModelRouter:
    """Calls models with retries and fallbacks. One per worker.

    A router for background work does not count refusals for load as failures of the provider: background work is
    refused first, and must not open the circuit for users who chat.
    """

    def __init__(
        self,
        provider_for: Callable[[Model], Provider],
        breaker: CircuitBreaker,
        *,
        retry_policy: RetryPolicy | None = None,
        is_background: bool = False,
        now_s: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.provider_for, self.breaker, self.retry_policy = provider_for, breaker, retry_policy or RetryPolicy()
        self.is_background = is_background
        self.now_s, self.draw = now_s, draw

    def ask(
        self,
        candidates: Sequence[Candidate],
        request: ModelRequest,
        *,
        user_id: UUID | None,
        total_s: float,
        reserve_again: Callable[[], None] | None = None,
    ) -> "ModelStream":
        """Return the answer of the first candidate that succeeds within `total_s` seconds.

        `user_id` is the user for whom the call is made: the failures of one user open no circuit.
        `reserve_again` runs before a call is repeated if the vendor may charge for the failed call; it may raise an error to
        prevent the call. The stream raises the last call's error, or ProviderBusy if every model's circuit is open.
        """
        return ModelStream(self, candidates, request, user_id=user_id, total_s=total_s, reserve_again=reserve_again or (lambda: None))


class ModelStream:
    """A streamed answer: one thread reads, any thread may close. `calls` lists all calls that were made, which must be settled."""

    def __init__(
        self,
        router: ModelRouter,
        candidates: Sequence[Candidate],
        request: ModelRequest,
        *,
        user_id: UUID | None,
        total_s: float,
        reserve_again: Callable[[], None],
    ) -> None:
        self.calls: list[ModelCall] = []
        self._router, self._request, self._user_id, self._reserve_again = router, request, user_id, reserve_again
        self._ready_s = dict.fromkeys(candidates, 0.0)
        self._first_choice = next(iter(candidates), None)
        self._deadline_s = router.now_s() + total_s
        self._failure: ParleyError | None = None
        self._closed = threading.Event()
        self._monitor: CallMonitor | None = None
        self._events = self._run()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ModelStreamEvent:
        if self._closed.is_set():
            self._events.close()
            raise StopIteration
        return next(self._events)

    def close(self) -> None:
        """End the current call and start no further call. The stream ends without an error."""
        self._closed.set()
        if self._monitor:
            self._monitor.cancel()
        with suppress(ValueError):  # the reading thread is executing the generator: it wakes up and ends by itself
            self._events.close()

    def _run(self) -> Generator[ModelStreamEvent]:
        circuits = {circuit_key(candidate.model) for candidate in self._ready_s}
        try:
            yield from self._call_until_answered()
        finally:
            for circuit in circuits:
                self._router.breaker.released(circuit)

    def _call_until_answered(self) -> Generator[ModelStreamEvent]:
        while (candidate := self._next_candidate()) is not None:
            call = ModelCall(candidate.id, candidate.model)
            self.calls.append(call)
            if candidate != self._first_choice:
                put_metrics({"Fallbacks": 1}, model=candidate.id)
            yield CallStarted(call)
            span = start_chat_span(call, self._request)
            try:
                yield from self._monitored_call(call, span)
                return
            except (ProviderFailed, Unavailable) as exc:
                call.error_code = exc.code
                self._handle_failure(candidate, call, exc)
            finally:
                end_chat_span(span, call)

    def _monitored_call(self, call: ModelCall, span: Span) -> Iterator[ModelEvent]:
        began_s = time.monotonic()
        request = _capped_request(self._request, call.model)
        events = self._router.provider_for(call.model).stream(call.model.name, request)
        self._monitor = CallMonitor(call, events, request, left_s=self._left_s)
        if self._closed.is_set():
            self._monitor.cancel()
        for number, event in enumerate(self._monitor):
            if number == 0:
                self._router.breaker.succeeded(circuit_key(call.model))
            if span is not NO_SPAN:
                note_event(span, event, number=number, elapsed_s=time.monotonic() - began_s)
            yield event

    def _next_candidate(self) -> Candidate | None:
        """Wait until a candidate may be called and return it, or None once closed. Raises an error if no call is possible in time."""
        blocked_s = []
        for candidate in sorted(self._ready_s, key=self._ready_s.__getitem__):
            self._check_time(candidate)
            waits_s = self._router.breaker.admit(circuit_key(candidate.model))
            if waits_s == 0:
                if self._closed.wait(max(self._ready_s[candidate] - self._router.now_s(), 0)):
                    return None
                if self.calls and self.calls[-1].usage.input_tokens:
                    self._reserve_again()
                return candidate
            blocked_s.append((waits_s, candidate.model.provider))
        if self._failure or not blocked_s:
            raise self._failure or ValueError("no candidates")
        raise ProviderBusy(min(blocked_s)[1], retry_after_s=min(blocked_s)[0])

    def _check_time(self, candidate: Candidate) -> None:
        if self._ready_s[candidate] - self._router.now_s() >= self._left_s():
            raise self._failure or ProviderTimeout(candidate.model.provider, "no time left")

    def _handle_failure(self, candidate: Candidate, call: ModelCall, exc: ProviderFailed | Unavailable) -> None:
        """Decide whether and when to call a model again. Raises `exc` if no further call may be made."""
        self._failure = exc
        logger.warning("model_call_failed", model=call.model_id, problem=exc.code, reason=str(exc), number=len(self.calls))
        self._note_health(call, exc)
        if isinstance(exc, ProviderRejected):
            raise exc
        put_metrics({"ProviderErrors": 1}, provider=call.model.provider, model=call.model_id, problem=exc.code)
        if isinstance(exc, ProviderMisconfigured):
            logger.error("provider_misconfigured", provider=call.model.provider, model=call.model_id)
            del self._ready_s[candidate]
        else:
            self._ready_s[candidate] = self._router.now_s() + self._pause_s(exc)
        if call.status == "interrupted" or len(self.calls) >= self._router.retry_policy.calls or not self._ready_s:
            raise exc
        if min(self._ready_s.values()) - self._router.now_s() > self._router.retry_policy.longest_pause_s:
            raise exc

    def _note_health(self, call: ModelCall, exc: ProviderFailed | Unavailable) -> None:
        if isinstance(exc, ProviderFailed) and not (self._router.is_background and isinstance(exc, ProviderBusy)):
            self._router.breaker.failed(circuit_key(call.model), exc, user_id=self._user_id)

    def _pause_s(self, exc: ParleyError) -> float:
        """Return the pause before the model's next call: as long as the vendor requests, else doubled each time, with 50% jitter."""
        requested_wait_s = exc.requested_wait_s if isinstance(exc, ProviderBusy) else None
        pause_s = self._router.retry_policy.first_pause_s * 2 ** (len(self.calls) - 1) * (0.5 + self._router.draw())
        return pause_s if requested_wait_s is None else requested_wait_s

    def _left_s(self) -> float:
        return self._deadline_s - self._router.now_s()


def _capped_request(request: ModelRequest, model: Model) -> ModelRequest:
    """Return the request with `max_output_tokens` capped to the model's limit."""
    limit = model.max_output_tokens
    return request if request.max_output_tokens and request.max_output_tokens <= limit else replace(request, max_output_tokens=limit)
