"""A vendor's answers that no router asks for: by the provider's circuit, and not beyond the time."""

from collections.abc import Callable, Generator, Iterator

from functions.chat.listener import Ended, Listener
from parley.llm.circuit_breaker import CircuitBreaker, provider_key
from parley.llm.errors import ProviderBusy, ProviderFailed, ProviderMisconfigured, ProviderRejected, ProviderTimeout
from parley.llm.model import Model


def guarded[T](breaker: CircuitBreaker, model: Model, answers: Iterator[T], *, left_s: Callable[[], float]) -> Generator[T]:
    """Pass the answers on, and tell the circuit how it went.

    Raises ProviderBusy where nobody may call now, ProviderTimeout when `left_s()` is used up: a call that is under way is left
    alone then, and its answer is not waited for. And whatever the answers raise.
    """
    provider = provider_key(model)
    if waits_s := breaker.admit(provider):
        raise ProviderBusy(model.provider, retry_after_s=waits_s)
    try:
        yield from _in_time(model, answers, left_s)
        breaker.succeeded(provider)
    except ProviderRejected:
        breaker.succeeded(provider)  # it answered: the request is at fault
        raise
    except ProviderMisconfigured:
        raise
    except ProviderFailed:
        breaker.failed(provider)
        raise
    finally:
        breaker.released(provider)


def _in_time[T](model: Model, answers: Iterator[T], left_s: Callable[[], float]) -> Iterator[T]:
    with Listener(_Answers(answers)) as listener:
        while True:
            try:
                found = listener.next(timeout_s=max(left_s(), 0))
            except Ended:
                return
            if found is None:
                raise ProviderTimeout(model.provider, "no time is left")
            yield found


class _Answers[T]:
    """What is read to its end or left: there is no connection to cut."""

    def __init__(self, answers: Iterator[T]) -> None:
        self._answers, self._is_closed = answers, False

    def __iter__(self) -> "_Answers[T]":
        return self

    def __next__(self) -> T:
        if self._is_closed:
            raise StopIteration
        return next(self._answers)

    def close(self) -> None:
        """Ask for no further answer."""
        self._is_closed = True
