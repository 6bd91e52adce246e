"""The protocol that every vendor's module keeps, and how a call can fail.

ProviderFailed              502 provider_failed        the vendor answered nonsense or broke off
  ProviderBusy              503 provider_busy          refused for load
  ProviderTimeout           504 provider_timeout       no answer in time
  ProviderRefused           502 provider_refused       our key, account or request was refused
"""

from collections.abc import Iterator
from typing import Protocol

from parley.errors import ParleyError
from parley.llm.types import Event, Request


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
