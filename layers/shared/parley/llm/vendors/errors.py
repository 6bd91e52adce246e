"""Translation of a vendor's HTTP status and error body into our errors, for all vendors."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from parley.llm.errors import ProviderBusy, ProviderFailed, ProviderMisconfigured, ProviderRejected, ProviderTimeout

MAX_RETRY_AFTER_S = 3600.0
MAX_REASON_CHARS = 300
_BUSY_STATUSES = {429, 503, 529}
_OUTAGE_STATUSES = {503, 529}
_MISCONFIGURED_STATUSES = {401, 402, 403, 404}
_OUTAGE_CODES = {"overloaded_error", "server_overloaded"}
_BUSY_CODES = {"rate_limit_error", "rate_limit_exceeded"} | _OUTAGE_CODES
# Words of OpenAI, vLLM, llama.cpp, Anthropic, Mistral and Bedrock.
_CONTEXT_TOO_LONG = re.compile(
    r"maximum context length|context length exceeded|context size|context window|prompt is too long|input is too long|too large for model",
    re.IGNORECASE,
)
_NO_CREDIT_CODES = {"insufficient_quota", "billing_not_active"}  # OpenAI returns 429 for these, but waiting does not help


@dataclass(frozen=True, slots=True)
class VendorError:
    """A vendor's error: its type, code and message, and the request field that caused it."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None

    @classmethod
    def read(cls, body: object) -> "VendorError":
        """Read an error object, or a body with an `error` object. Missing fields are None."""
        error = body.get("error", body) if isinstance(body, Mapping) else None
        if not isinstance(error, Mapping):
            return cls()
        fields = {name: str(error[name]) for name in ("type", "code", "message", "param") if error.get(name) is not None}
        return cls(**fields)

    @property
    def for_logs(self) -> str:
        """The error without its message, which may repeat the prompt and must not be logged."""
        return f"type {self.type!r}, code {self.code!r}, param {self.param!r}"


def error_for_status(
    provider: str, status: int, error: VendorError, *, retry_after: str | None = None, key: str | None = None
) -> ProviderFailed:
    """Return the error for a response with an error status."""
    reason = f"status {status}, {error.for_logs}"
    if status in _MISCONFIGURED_STATUSES or _NO_CREDIT_CODES & {error.type, error.code}:
        return ProviderMisconfigured(provider, reason)
    if status in _BUSY_STATUSES:
        return ProviderBusy(
            provider, retry_after_s=retry_after_s(retry_after), is_outage=status in _OUTAGE_STATUSES, is_rate_limit=status == 429
        )
    if status == 408:
        return ProviderTimeout(provider, reason)
    if status >= 500:
        return ProviderFailed(provider, reason)
    public_reason = _public_reason(error.message, key)
    return ProviderRejected(provider, reason, vendor_message=public_reason, is_context_too_long=_is_context_too_long(error))


def error_in_stream(provider: str, error: VendorError) -> ProviderFailed:
    """Return the error for a vendor error that arrives within a stream and so has no status."""
    if _BUSY_CODES & {error.type, error.code}:
        is_outage = bool(_OUTAGE_CODES & {error.type, error.code})
        return ProviderBusy(provider, retry_after_s=None, is_outage=is_outage, is_rate_limit=not is_outage)
    return ProviderFailed(provider, f"broke off: {error.for_logs}")


def _is_context_too_long(error: VendorError) -> bool:
    return error.code == "context_length_exceeded" or bool(_CONTEXT_TOO_LONG.search(error.message or ""))


def retry_after_s(header: str | None) -> float | None:
    """Parse a Retry-After header in seconds. Return None for an HTTP date, which is rare, and for invalid values."""
    try:
        wait_s = float(header or "nan")
    except ValueError:
        return None
    return min(wait_s, MAX_RETRY_AFTER_S) if wait_s >= 0 else None


def _public_reason(message: str | None, key: str | None) -> str | None:
    """Return the vendor's message on one line, shortened and without our key."""
    text = " ".join((message or "").split())
    if key:
        text = text.replace(key, "[redacted]")
    return text[:MAX_REASON_CHARS] or None
