"""Unexpected errors in Sentry, if `PARLEY_SENTRY_DSN` is set. The SDK is imported with the first error, not at the start.

An event holds the error's type, its trace and our fingerprint. It holds no text of the error, no local variables and no request,
because each may repeat a user's words.
"""

from functools import cache
from typing import Any

from parley.observability.settings import ObservabilitySettings

# Lambda freezes the process after the invocation, so the event must be sent before.
_FLUSH_TIMEOUT_S = 2.0


class SentrySink:
    """Sends errors to the project of a DSN. Failures to send are ignored: the log and the metric have the error too."""

    def __init__(self, observability: ObservabilitySettings) -> None:
        self._settings = observability

    def __call__(self, error: BaseException, fingerprint: str, event_name: str) -> None:
        """Send one error."""
        client, event_from_exception = self._client(), self._event_from_exception()
        event, hint = event_from_exception(error, client_options=client.options, mechanism={"type": "logging", "handled": True})
        for exception in event["exception"]["values"]:
            exception.pop("value", None)
        event |= {
            "level": "error",
            "fingerprint": [fingerprint],
            "logger": self._settings.service,
            "tags": {"service": self._settings.service, "event": event_name, "fingerprint": fingerprint},
        }
        client.capture_event(event, hint=hint)
        client.flush(timeout=_FLUSH_TIMEOUT_S)

    @cache  # noqa: B019 - one sink per process
    def _client(self) -> Any:
        from sentry_sdk import Client

        return Client(
            dsn=self._settings.sentry_dsn,
            environment=self._settings.stack,
            default_integrations=False,
            auto_enabling_integrations=False,
            include_local_variables=False,
            include_source_context=True,
            max_breadcrumbs=0,
            auto_session_tracking=False,
            send_client_reports=False,
            release="",  # else the SDK would run git
            server_name=self._settings.service,
            shutdown_timeout=0,
        )

    @staticmethod
    def _event_from_exception() -> Any:
        from sentry_sdk.utils import event_from_exception

        return event_from_exception
