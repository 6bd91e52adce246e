"""The one retry loop: asks models in order until one answers, and gives up in time.

A call that fails before its first visible text is made again, with the next candidate at once or with the same one after
a pause; after that text nothing is, for the reader has seen it. A request that a vendor rejects is not repeated; a vendor
that refuses our key is passed over. The vendors' SDKs themselves retry nothing.
"""

import random
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self

from parley.errors import ParleyError, Unavailable
from parley.llm.breaker import Breaker, provider_key
from parley.llm.calls import Call
from parley.llm.failures import ProviderBusy, ProviderFailed, ProviderMisconfigured, ProviderRejected, ProviderTimeout
from parley.llm.listening import Listening
from parley.llm.model import Model
from parley.llm.provider import Provider
from parley.llm.types import Event, Request
from parley.observability import logger


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request is sent at most, and how long to wait before the same model is asked again."""

    calls: int = 3
    first_pause_s: float = 0.5
    longest_pause_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may answer, by its id in the catalogue."""

    id: str
    model: Model


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A model is asked; what an earlier call was about to say is void."""

    call: Call


type RouterEvent = CallStarted | Event


class Router:
    """Asks models; made once for each worker.

    One that works in the background does not count what is refused for load against a provider's circuit: whoever asks
    without end meets that first, and nobody else shall be shut out for it.
    """

    def __init__(
        self,
        provider_for: Callable[[Model], Provider],
        breaker: Breaker,
        *,
        patience: Patience | None = None,
        is_background: bool = False,
        now_s: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.provider_for, self.breaker, self.patience = provider_for, breaker, patience or Patience()
        self.is_background = is_background
        self.now_s, self.draw = now_s, draw

    def ask(
        self, candidates: Sequence[Candidate], request: Request, *, total_s: float, reserve_again: Callable[[], None] | None = None
    ) -> "Asked":
        """Return the answer of the first candidate that gives one, within `total_s` seconds.

        `reserve_again` is called before a call that follows one which may cost money without an answer; it may refuse by
        raising. Raises what the last call failed by, ProviderBusy if no provider may be called now.
        """
        return Asked(self, candidates, request, total_s=total_s, reserve_again=reserve_again or (lambda: None))


class Asked:
    """An answer as it comes: one thread reads, any thread may close. `calls` tells what is to be billed, whatever happened."""

    def __init__(
        self, router: Router, candidates: Sequence[Candidate], request: Request, *, total_s: float, reserve_again: Callable[[], None]
    ) -> None:
        self.calls: list[Call] = []
        self._router, self._request, self._reserve_again = router, request, reserve_again
        self._ready_s = dict.fromkeys(candidates, 0.0)
        self._deadline_s = router.now_s() + total_s
        self._failure: ParleyError | None = None
        self._closed = threading.Event()
        self._listening: Listening | None = None
        self._events = self._run()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> RouterEvent:
        if self._closed.is_set():
            self._events.close()
            raise StopIteration
        return next(self._events)

    def close(self) -> None:
        """End the call that is under way and make no other; no error comes of it."""
        self._closed.set()
        if self._listening:
            self._listening.cut()
        with suppress(ValueError):  # the reading thread is inside: it wakes up and ends by itself
            self._events.close()

    def _run(self) -> Generator[RouterEvent]:
        providers = {provider_key(candidate.model) for candidate in self._ready_s}
        try:
            yield from self._call_until_answered()
        finally:
            for provider in providers:
                self._router.breaker.released(provider)

    def _call_until_answered(self) -> Generator[RouterEvent]:
        while (candidate := self._next()) is not None:
            call = Call(candidate.id, candidate.model)
            self.calls.append(call)
            yield CallStarted(call)
            try:
                yield from self._listen(call)
                return
            except (ProviderFailed, Unavailable) as exc:
                call.error_code = exc.code
                self._judge(candidate, call, exc)

    def _listen(self, call: Call) -> Iterator[Event]:
        request = _within_limits(self._request, call.model)
        answer = self._router.provider_for(call.model).stream(call.model.name, request)
        self._listening = Listening(call, answer, request, left_s=self._left_s)
        if self._closed.is_set():
            self._listening.cut()
        for number, event in enumerate(self._listening):
            if number == 0:
                self._router.breaker.succeeded(provider_key(call.model))
            yield event

    def _next(self) -> Candidate | None:
        """Return whom to ask now, after the pause that may be due; None once closed. Raises what there is no way round."""
        shut_s = []
        for candidate in sorted(self._ready_s, key=lambda one: self._ready_s[one]):
            self._check_time(candidate)
            waits_s = self._router.breaker.admit(provider_key(candidate.model))
            if waits_s == 0:
                if self._closed.wait(max(self._ready_s[candidate] - self._router.now_s(), 0)):
                    return None
                if self.calls and self.calls[-1].usage.input_tokens:
                    self._reserve_again()
                return candidate
            shut_s.append((waits_s, candidate.model.provider))
        if self._failure or not shut_s:
            raise self._failure or ValueError("nobody to ask")
        raise ProviderBusy(min(shut_s)[1], retry_after_s=min(shut_s)[0])

    def _check_time(self, candidate: Candidate) -> None:
        if self._ready_s[candidate] - self._router.now_s() >= self._left_s():
            raise self._failure or ProviderTimeout(candidate.model.provider, "no time is left")

    def _judge(self, candidate: Candidate, call: Call, exc: ProviderFailed | Unavailable) -> None:
        """Decide what a failure means for the next call. Raises it where there shall be none."""
        self._failure = exc
        logger.warning("a call of a model failed", model=call.model_id, problem=exc.code, reason=str(exc), number=len(self.calls))
        if isinstance(exc, ProviderRejected):
            self._router.breaker.succeeded(provider_key(call.model))  # it answered: the request is at fault
            raise exc
        if isinstance(exc, ProviderMisconfigured):
            logger.error("a provider is misconfigured", provider=call.model.provider, model=call.model_id)
            del self._ready_s[candidate]
        else:
            if not (self._router.is_background and isinstance(exc, ProviderBusy)):
                self._router.breaker.failed(provider_key(call.model))
            self._ready_s[candidate] = self._router.now_s() + self._pause_s(exc)
        if call.status == "interrupted" or len(self.calls) >= self._router.patience.calls or not self._ready_s:
            raise exc
        if min(self._ready_s.values()) - self._router.now_s() > self._router.patience.longest_pause_s:
            raise exc

    def _pause_s(self, exc: ParleyError) -> float:
        """Return how long to leave the model alone: as long as it asked for, or twice as long each time, give or take a half."""
        asked_s = exc.asked_wait_s if isinstance(exc, ProviderBusy) else None
        pause_s = self._router.patience.first_pause_s * 2 ** (len(self.calls) - 1) * (0.5 + self._router.draw())
        return pause_s if asked_s is None else asked_s

    def _left_s(self) -> float:
        return self._deadline_s - self._router.now_s()


def _within_limits(request: Request, model: Model) -> Request:
    """Return the request with no more output than the model can give."""
    most = model.max_output_tokens
    return request if request.max_output_tokens and request.max_output_tokens <= most else replace(request, max_output_tokens=most)
