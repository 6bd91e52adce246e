"""From a vendor's status and error body to our error; every vendor's module uses it."""

from collections.abc import Mapping
from dataclasses import dataclass

from parley.llm.errors import ProviderBusy, ProviderFailed, ProviderMisconfigured, ProviderRejected, ProviderTimeout

MAX_RETRY_AFTER_S = 3600.0
MAX_REASON_CHARS = 300
_BUSY_STATUSES = {429, 503, 529}
_MISCONFIGURED_STATUSES = {401, 402, 403, 404}
_BUSY_CODES = {"overloaded_error", "rate_limit_error", "rate_limit_exceeded", "server_overloaded"}
_NO_CREDIT_CODES = {"insufficient_quota", "billing_not_active"}  # OpenAI says 429 to these, which no waiting mends


@dataclass(frozen=True, slots=True)
class VendorError:
    """What a vendor said: its own word for the error, its sentence, and the field that it blames."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None

    @classmethod
    def read(cls, body: object) -> "VendorError":
        """Read an error object, or the body around it; what is not there stays None."""
        found = body.get("error", body) if isinstance(body, Mapping) else None
        if not isinstance(found, Mapping):
            return cls()
        words = {name: str(found[name]) for name in ("type", "code", "message", "param") if found.get(name) is not None}
        return cls(**words)

    @property
    def for_logs(self) -> str:
        """Return what may be logged: not the sentence, which may repeat the prompt."""
        return f"type {self.type!r}, code {self.code!r}, param {self.param!r}"


def error_for_status(
    provider: str, status: int, error: VendorError, *, retry_after: str | None = None, key: str | None = None
) -> ProviderFailed:
    """Return the error for an answer with an error status."""
    reason = f"status {status}, {error.for_logs}"
    if status in _MISCONFIGURED_STATUSES or _NO_CREDIT_CODES & {error.type, error.code}:
        return ProviderMisconfigured(provider, reason)
    if status in _BUSY_STATUSES:
        return ProviderBusy(provider, retry_after_s=retry_after_s(retry_after))
    if status == 408:
        return ProviderTimeout(provider, reason)
    if status >= 500:
        return ProviderFailed(provider, reason)
    return ProviderRejected(provider, reason, vendor_message=_public_reason(error.message, key))


def error_in_stream(provider: str, error: VendorError) -> ProviderFailed:
    """Return the error for one that comes in mid-stream, where there is no status."""
    if _BUSY_CODES & {error.type, error.code}:
        return ProviderBusy(provider, retry_after_s=None)
    return ProviderFailed(provider, f"broke off: {error.for_logs}")


def retry_after_s(header: str | None) -> float | None:
    """Read Retry-After; None for an HTTP date, which is rare, and for what is no time to wait."""
    try:
        waits_s = float(header or "nan")
    except ValueError:
        return None
    return min(waits_s, MAX_RETRY_AFTER_S) if waits_s >= 0 else None


def _public_reason(message: str | None, key: str | None) -> str | None:
    """Return the vendor's sentence on one line, short, and without our key."""
    text = " ".join((message or "").split())
    if key:
        text = text.replace(key, "[redacted]")
    return text[:MAX_REASON_CHARS] or None
