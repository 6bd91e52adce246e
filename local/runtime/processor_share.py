"""Divides the machine's processors among the users of a stack. On AWS, every worker has processors of its own."""

import os
import time
from pathlib import Path
from typing import Protocol

from local.runtime.invocation import Invocation

UNLIMITED = 1_000_000
_ACTIVE_S = 2.0
# A worker that has just received its event does not compute yet.
_FRESH_MS = 20.0


class Process(Protocol):
    """A worker's process; `pid` is None before it has started."""

    @property
    def pid(self) -> int | None: ...


class ProcessorShare:
    """Bounds how many invocations of one user compute at once, while several users are active.

    Each active user may compute on an equal share of the processors, and on one at least. An invocation that only waits, such
    as for a model, does not count. Invocations without a user are not bounded. Without /proc, nobody is.
    """

    def __init__(self, *, cores: int | None = None) -> None:
        self._cores = cores or os.cpu_count() or 1
        self._seen_at: dict[str, float] = {}
        self._running: list[tuple[Invocation, Process]] = []

    def see(self, user: str) -> None:
        """Record that the user has sent a request."""
        if user:
            self._seen_at[user] = time.monotonic()

    def begin(self, invocation: Invocation, process: Process) -> None:
        """Record that the process runs the invocation, until the invocation is over."""
        if invocation.user:
            self._running = [(running, worker) for running, worker in self._running if not running.is_over]
            self._running.append((invocation, process))

    def user_of(self, trace_id: str) -> str:
        """Return the user of a running invocation with this trace id, or an empty string."""
        users = (running.user for running, _ in self._running if trace_id and running.trace_id == trace_id and not running.is_over)
        return next(users, "")

    @property
    def has_several_users(self) -> bool:
        """Whether several users are active."""
        return len(self._active_users()) > 1

    def free(self, user: str) -> int:
        """Return how many further invocations of the user may begin now."""
        users = self._active_users()
        if not user or len(users) < 2:
            return UNLIMITED
        share = max(1, self._cores // len(users))
        computing = sum(
            1
            for invocation, process in self._running
            if invocation.user == user and not invocation.is_over and (invocation.elapsed_ms < _FRESH_MS or is_computing(process.pid))
        )
        return max(0, share - computing)

    def _active_users(self) -> set[str]:
        since = time.monotonic() - _ACTIVE_S
        self._seen_at = {user: seen for user, seen in self._seen_at.items() if seen > since}
        return self._seen_at.keys() | {invocation.user for invocation, _ in self._running if not invocation.is_over}


def is_computing(pid: int | None) -> bool:
    """Return whether a thread of the process computes, or could if a processor were free."""
    return any(_state(path) == "R" for path in Path(f"/proc/{pid}/task").glob("*/stat"))


def _state(path: Path) -> str:
    try:
        return path.read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""
