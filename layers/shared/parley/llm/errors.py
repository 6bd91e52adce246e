"""How a provider's call can fail.

ModelCannot                 422 model_cannot             asked for what this model is not able to do; nothing was sent
ContextTooLong              413 context_too_long         the prompt does not fit; nothing was sent
ProviderFailed              502 provider_failed          the vendor answered nonsense or broke off
  ProviderBusy              503 provider_busy            refused for load
  ProviderTimeout           504 provider_timeout         no answer in time
  ProviderRefused           502 provider_refused         repeating is useless; a kind of it says why:
    ProviderRejected        502 provider_rejected        the request itself; the vendor's reason is told
    ProviderMisconfigured   502 provider_misconfigured   our key, account or model name
"""

from parley.errors import InvalidInput, ParleyError


class ModelCannot(InvalidInput):
    """The request needs what the model is not able to do."""

    code = "model_cannot"

    def __init__(self, model: str, needs: str) -> None:
        super().__init__(f"the model {model!r} cannot do that: {needs}")
        self.public_message = f"The model {model!r} cannot do that: {needs}."
        self.needs = needs


class ContextTooLong(ParleyError):
    """What was asked does not fit the model's context; nothing was sent."""

    status, code = 413, "context_too_long"

    def __init__(self, model: str, *, tokens: int, limit: int) -> None:
        super().__init__(f"{tokens} tokens for {model!r}, limit {limit}")
        self.public_message = (
            f"The prompt takes about {tokens} tokens, and the model {model!r} takes {limit} beside the answer. Shorten it, or ask for less."
        )
        self.tokens, self.limit = tokens, limit


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
        self.requested_wait_s = retry_after_s
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


class ProviderMisconfigured(ProviderRefused):
    """The vendor refused our key, our account or the model's name: whoever runs this server must act."""

    status, code = 502, "provider_misconfigured"
    public_message = "The model is not set up rightly here. Tell whoever runs this server."


class ProviderRejected(ProviderRefused):
    """The vendor refused the request itself. Its reason is in `public_message` alone: it may repeat the prompt."""

    status, code = 502, "provider_rejected"

    def __init__(self, provider: str, reason: str, *, vendor_message: str | None = None) -> None:
        super().__init__(provider, reason)
        if vendor_message:
            self.public_message = f"The model's provider rejected the request: {vendor_message}"
