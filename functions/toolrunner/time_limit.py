"""Ends the process when a tool exceeds its time: the only way to stop code that does not cooperate.

faulthandler's thread needs no interpreter lock, so it also stops code that never releases the lock. Before it ends the
process, it logs the stack as lines of code without values. Lambda starts a new process for the next invocation.
"""

import faulthandler
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def exit_after(seconds: float) -> Iterator[None]:
    """End the process by `_exit` if the block takes longer than `seconds`."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
