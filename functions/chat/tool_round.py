"""The calls of one round, run side by side."""

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from queue import Empty, Queue

from functions.chat.called import Called
from functions.chat.toolbox import Toolbox
from parley.llm.provider import storable
from parley.observability import logger
from parley.tools.outcome import ToolOutcome

MOST_BYTES = 64 * 1024
# A tool ends itself in time; one that does not is left alone so long after it.
GRACE_S = 0.5
_CUT = "\n[cut here: the result is longer]"


class ToolRound:
    """Runs each call in a thread of its own. Nobody waits for a thread that hangs: it is a daemon, and what it says is not heard."""

    def __init__(self, toolbox: Toolbox, calls: Mapping[Called, float]) -> None:
        """Start the calls, each with the seconds that it may take."""
        self._results: Queue[tuple[Called, ToolOutcome]] = Queue()
        self._began_s = time.monotonic()
        self._late_s = {call: self._began_s + timeout_s + GRACE_S for call, timeout_s in calls.items()}
        for call, timeout_s in calls.items():
            threading.Thread(target=partial(self._run, toolbox, call, timeout_s), name="tool", daemon=True).start()

    @property
    def is_running(self) -> bool:
        """Whether a result is still to come."""
        return bool(self._late_s)

    def next(self, *, timeout_s: float) -> tuple[Called, ToolOutcome] | None:
        """Return the next result, or None if none came in time."""
        try:
            call, outcome = self._results.get(timeout=timeout_s)
        except Empty:
            return self._late()
        return (call, outcome) if self._late_s.pop(call, None) else None

    def _late(self) -> tuple[Called, ToolOutcome] | None:
        now_s = time.monotonic()
        for call, late_s in self._late_s.items():
            if now_s >= late_s:
                del self._late_s[call]
                logger.warning("a tool hangs", tool=call.name)
                return call, ToolOutcome(False, "The tool did not answer in time.", _ms(now_s - self._began_s))
        return None

    def _run(self, toolbox: Toolbox, call: Called, timeout_s: float) -> None:
        try:
            outcome = toolbox.run(call.name, call.arguments, timeout_s=timeout_s)
        except Exception:  # around a tool's run: whatever it does, the model is told and the turn goes on
            logger.exception("a tool broke", tool=call.name)
            outcome = ToolOutcome(False, "The tool failed.", 0.0)
        elapsed_ms = _ms(time.monotonic() - self._began_s)
        self._results.put((call, replace(outcome, content=cut(storable(outcome.content)), elapsed_ms=elapsed_ms)))


def cut(content: str, *, most_bytes: int = MOST_BYTES) -> str:
    """Return a result that is no longer than `most_bytes` of UTF-8, with a note where something is missing."""
    written = content.encode()
    if len(written) <= most_bytes:
        return content
    return written[: max(0, most_bytes - len(_CUT))].decode(errors="ignore") + _CUT


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
