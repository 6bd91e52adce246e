"""Errors of model calls.

ModelCannot                 422 model_cannot             the model lacks an ability; nothing was sent
ContextTooLong              413 context_too_long         the prompt does not fit; nothing was sent
GuardBlocked                422 guard_blocked            a guard of this deployment refused the request or the answer
ProviderFailed              502 provider_failed          the vendor failed or the connection broke
  UnusableAnswer            502 provider_failed          the vendor answered, but the answer cannot be used
  ProviderBusy              503 provider_busy            refused because of load
  ProviderTimeout           504 provider_timeout         no response in time
  ProviderRefused           502 provider_refused         repeating is useless:
    ProviderRejected        502 provider_rejected        the request was rejected; the vendor's reason is public
    ProviderMisconfigured   502 provider_misconfigured   our key, account or model name was refused
"""

from typing import Literal

from parley.errors import InvalidInput, ParleyError


class ModelCannot(InvalidInput):
    """The request needs an ability that the model does not have."""

    code = "model_cannot"

    def __init__(self, model: str, ability: str, *, field: str | None = None) -> None:
        super().__init__(f"model {model!r} does not support {ability}", loc=("body", field) if field else ("body",))
        self.public_message = f"The model {model!r} does not support {ability}."
        self.ability = ability


class ContextTooLong(ParleyError):
    """The prompt does not fit into the model's context; nothing was sent."""

    status, code = 413, "context_too_long"

    def __init__(self, model: str, *, tokens: int, limit: int) -> None:
        super().__init__(f"{tokens} tokens for {model!r}, limit {limit}")
        self.public_message = (
            f"The prompt takes about {tokens} tokens, but the model {model!r} accepts {limit} besides the answer. "
            "Shorten the prompt or request a shorter answer."
        )
        self.tokens, self.limit = tokens, limit


class GuardBlocked(ParleyError):
    """A guard of this deployment refused the request, before the vendor was called, or the answer, which ends there."""

    status, code = 422, "guard_blocked"

    def __init__(self, guard: str, *, place: Literal["request", "answer"]) -> None:
        super().__init__(f"the guard {guard!r} refused the {place}")
        self.public_message = (
            "The rules of this server do not allow this message. Change it and send it again."
            if place == "request"
            else "The rules of this server do not allow the rest of this answer."
        )
        self.guard, self.place = guard, place


class ProviderFailed(ParleyError):
    """The vendor failed, or the connection broke.

    `is_outage` means that the vendor is unmistakably down for everybody: it cannot be reached, or says so. Any other failure may be
    due to this request.
    """

    status, code = 502, "provider_failed"
    public_message = "The model failed to answer. Try again."
    retryable = True

    def __init__(self, provider: str, reason: str, *, is_outage: bool = False) -> None:
        super().__init__(f"{provider!r}: {reason}")
        self.provider, self.is_outage = provider, is_outage


class UnusableAnswer(ProviderFailed):
    """The vendor answered, but the answer cannot be used. This says nothing about the answers to other requests."""


class ProviderBusy(ProviderFailed):
    """The vendor refused the call because of load; repeating it is safe."""

    status, code = 503, "provider_busy"
    public_message = "The model is busy. Try again shortly."

    def __init__(self, provider: str, *, retry_after_s: float | None, is_outage: bool = False, is_rate_limit: bool = False) -> None:
        super().__init__(provider, f"busy, retry_after_s={retry_after_s}", is_outage=is_outage)
        self.is_rate_limit = is_rate_limit  # the vendor answered 429
        self.requested_wait_s = retry_after_s
        self.retry_after_s = retry_after_s if retry_after_s is not None else 5.0


class ProviderTimeout(ProviderFailed):
    """The vendor did not respond in time."""

    status, code = 504, "provider_timeout"
    public_message = "The model took too long. Try again."


class ProviderRefused(ProviderFailed):
    """The vendor refused our key, our account or the request itself; repeating the call is useless."""

    status, code = 502, "provider_refused"
    public_message = "The model's provider refused the request. Contact the operator."
    retryable = False


class ProviderMisconfigured(ProviderRefused):
    """The vendor refused our key, our account or the model's name; the operator must act."""

    status, code = 502, "provider_misconfigured"
    public_message = "The model is misconfigured on this server. Contact the operator."


class ProviderRejected(ProviderRefused):
    """The vendor rejected the request itself. The vendor's reason is only in `public_message`, because it may repeat the prompt."""

    status, code = 502, "provider_rejected"

    def __init__(self, provider: str, reason: str, *, vendor_message: str | None = None, is_context_too_long: bool = False) -> None:
        super().__init__(provider, reason)
        self.is_context_too_long = is_context_too_long
        if vendor_message:
            self.public_message = f"The model's provider rejected the request: {vendor_message}"
