"""Ends the process when a tool overruns its time: the only way to stop code that does not stop by itself.

faulthandler's own thread needs no interpreter lock, so it also ends code that never releases it. It first logs where the
tool was, as lines of code without values. The next invocation starts a new process.
"""

import faulthandler
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def exit_after(seconds: float) -> Iterator[None]:
    """Let the block take so long; past that the process is gone by `_exit`."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
