"""The protocol that every vendor's module keeps, and how a call can fail.

ProviderFailed              502 provider_failed        the vendor answered nonsense or broke off
  ProviderBusy              503 provider_busy          refused for load
  ProviderTimeout           504 provider_timeout       no answer in time
  ProviderRefused           502 provider_refused       our key, account or request was refused
"""

from collections.abc import Iterator
from typing import Protocol

from parley.errors import ParleyError
from parley.llm.types import Event, Finished, Request, TextDelta, Usage


class Provider(Protocol):
    """A way to reach one vendor's models."""

    def stream(self, model_name: str, request: Request) -> Iterator[Event]:
        """Yield the answer's pieces, then one `Finished`.

        `model_name` is the vendor's. Nothing is retried. Raises ProviderFailed or a kind of it, before the first
        event or after any. Closing the iterator ends the vendor's connection.
        """
        ...


class ProviderFailed(ParleyError):
    """The vendor answered with something unusable, or the connection broke."""

    status, code = 502, "provider_failed"
    public_message = "The model failed to answer. Try again."
    retryable = True

    def __init__(self, provider: str, reason: str) -> None:
        super().__init__(f"{provider!r}: {reason}")
        self.provider = provider


class ProviderBusy(ProviderFailed):
    """The vendor refused for load; repeating the whole call is safe."""

    status, code = 503, "provider_busy"
    public_message = "The model is busy. Try again shortly."

    def __init__(self, provider: str, *, retry_after_s: float | None) -> None:
        super().__init__(provider, f"busy, retry_after_s={retry_after_s}")
        self.retry_after_s = retry_after_s if retry_after_s is not None else 5.0


class ProviderTimeout(ProviderFailed):
    """The vendor did not answer in time."""

    status, code = 504, "provider_timeout"
    public_message = "The model took too long. Try again."


class ProviderRefused(ProviderFailed):
    """The vendor refused our key, our account or the request itself: repeating it is useless."""

    status, code = 502, "provider_refused"
    public_message = "The model's provider refused the request. Tell whoever runs this server."
    retryable = False


def sound(events: Iterator[Event], *, provider: str) -> Iterator[Event]:
    """Pass on a provider's events, and nothing that could not be stored: a vendor may send anything.

    NUL and halves of surrogate pairs are taken out of texts. Raises ProviderFailed for what is no event of ours.
    """
    for event in events:
        match event:
            case TextDelta(str() as text):
                yield TextDelta(_storable(text))
            case Finished(str(), Usage() as usage) if _is_countable(usage):
                yield event
            case _:
                raise ProviderFailed(provider, f"an unusable {type(event).__name__}")


def _storable(text: str) -> str:
    text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _is_countable(usage: Usage) -> bool:
    counts = (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens)
    return all(isinstance(count, int) and 0 <= count < 2**31 for count in counts) and usage.cached_input_tokens <= usage.input_tokens
