"""Logs, metrics, error reports and traces: everything that tells an operator what a function does."""

from parley.observability.error_reports import ErrorReporter
from parley.observability.logs import REDACTED, add_log_context, begin_log_context, current_correlation_id, logger, redact
from parley.observability.metrics import put_metrics
from parley.observability.sentry import SentrySink
from parley.observability.settings import settings

__all__ = ["REDACTED", "add_log_context", "begin_log_context", "current_correlation_id", "logger", "put_metrics", "redact"]

logger.addFilter(ErrorReporter(SentrySink(settings) if settings.sentry_dsn else None))
