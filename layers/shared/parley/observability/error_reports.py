"""Error tracking: each unexpected error is counted once, under a fingerprint that groups the same bug.

An unexpected error is any exception that is not a `ParleyError` and is logged with its trace. The reporter is a filter of the logger,
so code logs an error with `logger.exception` and need not know about reports.
"""

import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from parley.errors import ParleyError
from parley.observability.metrics import put_metrics

_MAX_FRAMES = 5
_OUR_PACKAGES = ("parley.", "functions.")
_MARK = "__parley_reported__"

type ErrorSink = Callable[[BaseException, str, str], None]


def fingerprint(error: BaseException) -> str:
    """Return twelve hexadecimal digits that are the same for the same bug.

    They depend on the types of the error and its cause and on the innermost functions of our own code, not on line numbers, so that
    an unrelated change of a file keeps them. The error's text, which may repeat a user's words, has no influence.
    """
    frames = _frames(error.__traceback__)
    ours = [frame for frame in frames if frame.startswith(_OUR_PACKAGES)]
    parts = [_type_name(error), _type_name(error.__cause__) if error.__cause__ else "", *(ours or frames)[-_MAX_FRAMES:]]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _frames(trace: TracebackType | None) -> list[str]:
    frames = []
    while trace:
        frames.append(f"{trace.tb_frame.f_globals.get('__name__', '')}:{trace.tb_frame.f_code.co_qualname}")
        trace = trace.tb_next
    return frames


def _type_name(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


class ErrorReporter(logging.Filter):
    """Counts unexpected errors as they are logged, and adds their fingerprint to the log line.

    An exception that several handlers log on its way up is counted by the first. `sink`, if set, receives the error, its fingerprint
    and the log event.
    """

    def __init__(self, sink: ErrorSink | None = None) -> None:
        super().__init__()
        self.sink = sink

    def filter(self, record: logging.LogRecord) -> bool:
        """Report the record's error, and let every record pass."""
        error = record.exc_info[1] if record.exc_info else None
        if record.levelno >= logging.ERROR and isinstance(error, Exception) and not isinstance(error, ParleyError):
            record.__dict__["fingerprint"] = mark = fingerprint(error)
            if not getattr(error, _MARK, False):
                with suppress(AttributeError):  # a class with slots
                    setattr(error, _MARK, True)
                self._report(error, mark, str(record.msg))
        return True

    def _report(self, error: Exception, error_fingerprint: str, event: str) -> None:
        put_metrics({"UnexpectedErrors": 1}, fingerprint=error_fingerprint, error=type(error).__name__, event=event)
        if self.sink:
            with suppress(Exception):  # whatever the sink's SDK does, the error is logged and counted
                self.sink(error, error_fingerprint, event)
