"""The protocol of a provider, and its event stream, which any thread may cancel.

`errors.py` lists how a call can fail.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from parley.llm.errors import ProviderFailed
from parley.llm.messages import Finished, ModelEvent, ModelRequest, TextDelta, Thought, ToolCall, Usage

CONNECT_TIMEOUT_S = 5.0  # the one wait that cannot be cut


class CancelHandle:
    """Knows how to break the connection that its call waits on.

    A vendor's module hands it over with `use` once there is one, and takes it back with `release` before the
    connection may serve another call.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._disconnect: Callable[[], None] | None = None
        self.is_cancelled = False
        self.is_answered = False  # by anything but a refusal: the vendor may charge from then on

    def attach(self, disconnect: Callable[[], None]) -> None:
        """Note how to break the connection; it is broken at once if the line was cut before."""
        with self._lock:
            self._disconnect = disconnect
            if self.is_cancelled:
                disconnect()

    def detach(self) -> None:
        """Forget the connection."""
        with self._lock:
            self._disconnect = None

    def cancel(self) -> None:
        """Break the connection, now or as soon as there is one; a thread that reads from it wakes up."""
        with self._lock:
            self.is_cancelled = True
            if self._disconnect:
                self._disconnect()


class ProviderStream:
    """A provider's events, for one thread to read and any thread to close.

    Once closed there is no further event and no error, also for a thread that was just waiting for one.
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
        if self._handle.is_cancelled:  # the end of a broken connection may pass for the end of the answer
            raise StopIteration
        return event

    @property
    def is_begun(self) -> bool:
        """Whether the vendor accepted the request, also where no event has come of it."""
        return self._handle.is_answered

    def close(self) -> None:
        """End the vendor's connection; idempotent."""
        self._handle.cancel()
        close = getattr(self._events, "close", None)
        if close:
            with suppress(ValueError):  # another thread is inside: the cut wakes it, and it cleans up on its way out
                close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class ProviderEvents(Protocol):
    """An answer as it comes. One thread reads; `close` may come from any, and also wakes a read that blocks."""

    def __iter__(self) -> Self: ...

    def __next__(self) -> ModelEvent: ...

    def close(self) -> None:
        """End the vendor's connection. No event and no error comes after it."""
        ...


class Provider(Protocol):
    """A way to reach one vendor's models."""

    def stream(self, model_name: str, request: ModelRequest) -> ProviderEvents:
        """Yield the answer's pieces, then one `Finished`.

        `model_name` is the vendor's. The call begins with the first event asked for; nothing is retried. A `ToolCall`
        comes whole, and only once the vendor has ended the answer: a broken one asks for no tool. Raises ProviderFailed
        or a kind of it, before the first event or after any.
        """
        ...


def validated_events(events: Iterator[ModelEvent], *, provider: str) -> Iterator[ModelEvent]:
    """Pass on a provider's events, and nothing that could not be stored: a vendor may send anything.

    NUL and halves of surrogate pairs are taken out of texts. Raises ProviderFailed for what is no event of ours.
    """
    for event in events:
        match event:
            case TextDelta(str() as text):
                yield TextDelta(storable(text))
            case ToolCall(str() as id, str() as name, str() as arguments) if id and name:
                yield ToolCall(storable(id), storable(name), storable(arguments))
            case Thought(str(), str() as payload):
                yield Thought(event.origin, storable(payload))
            case Finished(str(), Usage() as usage) if _is_countable(usage):
                yield event
            case _:
                raise ProviderFailed(provider, f"an unusable {type(event).__name__}")


def storable(text: str) -> str:
    """Return the text without what UTF-8 or PostgreSQL cannot hold."""
    text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _is_countable(usage: Usage) -> bool:
    counts = (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.cache_write_tokens)
    return (
        all(isinstance(count, int) and 0 <= count < 2**31 for count in counts)
        and usage.cached_input_tokens + usage.cache_write_tokens <= usage.input_tokens
    )
