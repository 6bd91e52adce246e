"""The errors of model calls, as a client sees them."""

import pytest

from parley.llm.errors import (
    ProviderBusy,
    ProviderFailed,
    ProviderMisconfigured,
    ProviderRefused,
    ProviderRejected,
    ProviderTimeout,
    UnusableAnswer,
)


@pytest.mark.parametrize(
    ("kind", "status", "code", "is_retryable"),
    [
        (ProviderFailed, 502, "provider_failed", True),
        (UnusableAnswer, 502, "provider_failed", True),
        (ProviderTimeout, 504, "provider_timeout", True),
        (ProviderRefused, 502, "provider_refused", False),
        (ProviderRejected, 502, "provider_rejected", False),
        (ProviderMisconfigured, 502, "provider_misconfigured", False),
    ],
)
def test_an_error_says_whether_the_request_may_be_repeated(kind, status, code, is_retryable):
    error = kind("acme", "reason")

    assert (error.status, error.code, error.retryable) == (status, code, is_retryable)


@pytest.mark.parametrize(("asked_s", "said_s"), [(None, 5.0), (0.0, 0.0), (7.0, 7.0)])
def test_a_busy_model_may_be_asked_again_after_the_vendors_wait_or_five_seconds(asked_s, said_s):
    busy = ProviderBusy("acme", retry_after_s=asked_s)

    assert (busy.status, busy.code, busy.retryable, busy.retry_after_s) == (503, "provider_busy", True, said_s)
