"""The protocol that every vendor's module keeps. How a call can fail stands in `failures.py`."""

from collections.abc import Iterator
from typing import Protocol, Self

from parley.llm.failures import ProviderBusy, ProviderFailed, ProviderMisconfigured, ProviderRefused, ProviderRejected, ProviderTimeout
from parley.llm.types import Event, Finished, Request, TextDelta, Thought, ToolCall, Usage

__all__ = [
    "Events",
    "Provider",
    "ProviderBusy",
    "ProviderFailed",
    "ProviderMisconfigured",
    "ProviderRefused",
    "ProviderRejected",
    "ProviderTimeout",
    "sound",
    "storable",
]


class Events(Protocol):
    """An answer as it comes. One thread reads; `close` may come from any, and also wakes a read that blocks."""

    def __iter__(self) -> Self: ...

    def __next__(self) -> Event: ...

    def close(self) -> None:
        """End the vendor's connection. No event and no error comes after it."""
        ...


class Provider(Protocol):
    """A way to reach one vendor's models."""

    def stream(self, model_name: str, request: Request) -> Events:
        """Yield the answer's pieces, then one `Finished`.

        `model_name` is the vendor's. The call begins with the first event asked for; nothing is retried. A `ToolCall`
        comes whole, and only once the vendor has ended the answer: a broken one asks for no tool. Raises ProviderFailed
        or a kind of it, before the first event or after any.
        """
        ...


def sound(events: Iterator[Event], *, provider: str) -> Iterator[Event]:
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
