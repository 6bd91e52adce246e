"""The protocol of a provider, and its event stream, which any thread may cancel. `errors.py` lists the errors of a call."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from parley.llm.errors import UnusableAnswer
from parley.llm.messages import Finished, ModelEvent, ModelRequest, ReasoningDelta, TextDelta, Thought, ToolCall, ToolCallDelta, Usage

CONNECT_TIMEOUT_S = 5.0  # short, because connecting cannot be cancelled


class CancelHandle:
    """Cancels a call by breaking the connection on which it waits.

    A vendor's module calls `attach` once there is a connection, and `detach` before the connection serves another call.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._disconnect: Callable[[], None] | None = None
        self.is_cancelled = False
        self.is_answered = False  # the vendor accepted the request, and may charge for it from now on

    def attach(self, disconnect: Callable[[], None]) -> None:
        """Remember how to break the connection; break it immediately if the call is cancelled already."""
        with self._lock:
            self._disconnect = disconnect
            if self.is_cancelled:
                disconnect()

    def detach(self) -> None:
        """Forget the connection."""
        with self._lock:
            self._disconnect = None

    def cancel(self) -> None:
        """Break the connection, now or as soon as there is one. A thread that reads from it wakes up."""
        with self._lock:
            self.is_cancelled = True
            if self._disconnect:
                self._disconnect()


class ProviderStream:
    """A provider's events: one thread reads, any thread may close.

    After `close` the stream ends without further events or errors, even for a thread that is waiting for an event.
    """

    def __init__(self, events: Iterator[ModelEvent], handle: CancelHandle) -> None:
        self._events, self._handle = events, handle

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ModelEvent:
        if self._handle.is_cancelled:
            raise StopIteration
        try:
            event = next(self._events)
        except Exception:
            if self._handle.is_cancelled:
                raise StopIteration from None
            raise
        if self._handle.is_cancelled:  # a broken connection may look like the end of the answer
            raise StopIteration
        return event

    @property
    def is_begun(self) -> bool:
        """Whether the vendor accepted the request, even if no event has arrived yet."""
        return self._handle.is_answered

    def close(self) -> None:
        """Break the vendor's connection. Idempotent."""
        self._handle.cancel()
        close = getattr(self._events, "close", None)
        if close:
            with suppress(ValueError):  # another thread is reading: the broken connection wakes it, and it cleans up
                close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class ProviderEvents(Protocol):
    """A streamed answer. One thread reads; any thread may call `close`, which also wakes a blocked read."""

    def __iter__(self) -> Self: ...

    def __next__(self) -> ModelEvent: ...

    def close(self) -> None:
        """Break the vendor's connection. The stream ends without further events or errors."""
        ...


class Provider(Protocol):
    """One vendor's chat models."""

    def stream(self, model_name: str, request: ModelRequest) -> ProviderEvents:
        """Yield the answer's events, the last of them `Finished`.

        `model_name` is the vendor's name. The call starts when the first event is requested; nothing is retried. A
        `ToolCall` arrives whole and only after the vendor has ended the answer, so an interrupted answer calls no tool; its
        pieces arrive before, for a request with `shows_call_deltas`.
        At any point, the stream may raise ProviderFailed or a subclass.
        """
        ...


def validated_events(events: Iterator[ModelEvent], *, provider: str) -> Iterator[ModelEvent]:
    """Yield the provider's events with their texts made storable, because a vendor may send anything.

    Raises UnusableAnswer for an event of an unknown type or with fields of the wrong type.
    """
    for event in events:
        match event:
            case TextDelta(str() as text):
                yield TextDelta(storable(text), event.is_refusal)
            case ReasoningDelta(str() as text):
                yield ReasoningDelta(storable(text))
            case ToolCall(str() as id, str() as name, str() as arguments) if id and name:
                yield ToolCall(storable(id), storable(name), storable(arguments))
            case ToolCallDelta(int() as index, str() as id, str() as name, str() as arguments) if id and name:
                yield ToolCallDelta(index, storable(id), storable(name), storable(arguments))
            case Thought(str(), str() as payload):
                yield Thought(event.origin, storable(payload))
            case Finished(str(), Usage() as usage) if _is_countable(usage):
                yield event
            case _:
                raise UnusableAnswer(provider, f"an unusable {type(event).__name__}")


def storable(text: str) -> str:
    """Return the text without NUL, which PostgreSQL cannot store, and with lone surrogates replaced by U+FFFD."""
    text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _is_countable(usage: Usage) -> bool:
    counts = (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.cache_write_tokens, usage.reasoning_tokens)
    return (
        all(isinstance(count, int) and 0 <= count < 2**31 for count in counts)
        and usage.cached_input_tokens + usage.cache_write_tokens <= usage.input_tokens
    )
