"""Divides the machine's processors among the users of a stack. On AWS, every worker has processors of its own."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from local.runtime.invocation import Invocation
from local.runtime.processor_time import DatabaseProcesses, is_computing, is_contended, processor_time_s

UNLIMITED = 1_000_000
# The user of the invocations of bulk functions. It is never active, so that it takes no share from users.
BULK = "bulk work"
_ACTIVE_S = 2.0
# A worker that has just received its event does not compute yet. Beside other users, an invocation counts longer, because while
# its worker waits for the database, the database computes.
_FRESH_MS = 20.0
_FRESH_BESIDE_OTHERS_MS = 100.0
# After this time, processor time counts half.
_HALF_LIFE_S = 5.0
# A user gives way to users who have used less than this part of the user's own processor time.
_LIGHT_PART = 0.75
_LEAST_S = 0.05
# A client that sends one request after another pauses this long at most. A request that begins in the pause would run beside the next.
_PAUSE_S = 0.1
# The pause holds a user's request back only if no processor was free this recently.
_CONTENDED_S = 0.5
# However busy lighter users are, a request of each user may begin this often.
_LONGEST_HOLD_S = 0.5
# However busy users are, a bulk invocation may begin this often: its caller waits for 30 s at most.
_LONGEST_BULK_HOLD_MS = 5000.0


class Process(Protocol):
    """A worker's process; `pid` is None before it has started."""

    @property
    def pid(self) -> int | None: ...


@dataclass
class _Run:
    """An invocation, its process, and the process's processor time up to which the user's use is recorded."""

    invocation: Invocation
    process: Process
    recorded_s: float | None

    def is_computing(self, *, fresh_ms: float) -> bool:
        return self.invocation.elapsed_ms < fresh_ms or is_computing(self.process.pid)


class ProcessorShare:
    """Bounds how many invocations of a user compute at once, so that a user's requests take few processors from other users.

    Each active user may compute on an equal share of the processors, and on one at least. While no processor is free, a user's next
    invocation also waits as long as an invocation of a lighter user computes: one who has recently used less than three quarters of
    the processor time. It waits for `_PAUSE_S` more, in which the lighter user's next request may come, but one invocation every
    `_LONGEST_HOLD_S` may begin in such pauses. An invocation that only waits, such as for a model, does not count. Invocations
    without a user are not bounded. Those of `BULK` compute one at a time if users have computed recently and no processor is free: a
    low priority alone leaves each of them a part of a processor, and several of them a large part. If one computes for longer than
    `_LONGEST_BULK_HOLD_MS`, the next may begin. Without /proc, only the beginning of an invocation counts.

    The database computes for the invocations that run, but nobody knows for which of them: each is charged with an equal part of its
    time, and the parts of those without a user to nobody. While it computes, all invocations of a user beside lighter users count as
    computing, for `_LONGEST_HOLD_S` after the last has begun.
    """

    def __init__(
        self, *, cores: int | None = None, is_contended: Callable[[], bool] = is_contended, database: DatabaseProcesses | None = None
    ) -> None:
        self._cores = cores or os.cpu_count() or 1
        self._is_contended = is_contended
        self._database = database or DatabaseProcesses()
        self._seen_at: dict[str, float] = {}
        self._runs: list[_Run] = []
        self._used: dict[str, float] = {}
        self._aged_at = time.monotonic()
        # When each user last began an invocation, and was last known to compute.
        self._began_at: dict[str, float] = {}
        self._computed_at: dict[str, float] = {}
        self._contended_at = 0.0

    def see(self, user: str) -> None:
        """Record that the user has sent a request."""
        if user:
            self._seen_at[user] = time.monotonic()

    def begin(self, invocation: Invocation, process: Process) -> None:
        """Record that the process runs the invocation, until the invocation is over."""
        self._record_database()
        self._runs = [run for run in self._runs if not run.invocation.is_over]
        self._runs.append(_Run(invocation, process, processor_time_s(process.pid)))
        if invocation.user:
            self._computed_at[invocation.user] = time.monotonic()
            if not invocation.is_nested:
                self._began_at[invocation.user] = time.monotonic()

    def end(self, invocation: Invocation) -> None:
        """Record the processor time of an invocation that is over."""
        self._age()
        self._record_database()
        for run in self._runs:
            if run.invocation is invocation and invocation.user:
                self._record(run)
                self._computed_at[invocation.user] = time.monotonic()
        self._runs = [run for run in self._runs if run.invocation is not invocation]

    def user_of(self, trace_id: str) -> str:
        """Return the user of a running invocation with this trace id, or an empty string."""
        running = (run.invocation for run in self._runs)
        users = (invocation.user for invocation in running if trace_id and invocation.trace_id == trace_id and not invocation.is_over)
        return next(filter(None, users), "")

    @property
    def has_several_users(self) -> bool:
        """Whether several users are active."""
        return len(self._active_users()) > 1

    def free(self, user: str) -> int:
        """Return how many further invocations of the user may begin now."""
        if not user:
            return UNLIMITED
        if user == BULK:
            return self._free_for_bulk()
        users = self._active_users() | {user}
        fresh_ms = _FRESH_BESIDE_OTHERS_MS if len(users) > 1 else _FRESH_MS
        left = max(1, self._cores // len(users))
        is_waiting_counted = self._is_in_database(user)
        for run in self._runs:
            if left and run.invocation.user == user and not run.invocation.is_over:
                left -= is_waiting_counted or run.is_computing(fresh_ms=fresh_ms)
        return 0 if left and len(users) > 1 and self._gives_way(user) else left

    def _is_in_database(self, user: str) -> bool:
        """Return whether the database may be computing for the user's invocations that wait, and another user is lighter."""
        if time.monotonic() - self._began_at.get(user, 0.0) > _LONGEST_HOLD_S:
            return False
        self._record_database()
        return bool(self._lighter_than(user)) and self._database.is_computing()

    def _free_for_bulk(self) -> int:
        """Return how many further bulk invocations may begin now."""
        self._age()
        self._record_running()
        have_users_computed = any(used_s >= _LEAST_S for user, used_s in self._used.items() if user != BULK)
        if not have_users_computed or not self._is_contended():
            return UNLIMITED
        runs = [run for run in self._runs if run.invocation.user == BULK and not run.invocation.is_over]
        holding = [run for run in runs if run.invocation.elapsed_ms < _LONGEST_BULK_HOLD_MS]
        return 0 if any(run.is_computing(fresh_ms=_FRESH_BESIDE_OTHERS_MS) for run in holding) else 1

    def _gives_way(self, user: str) -> bool:
        """Return whether a lighter user computes and no processor is free."""
        self._age()
        self._record_running()
        light = self._lighter_than(user)
        return bool(light) and (self._computes(light) or self._pauses(light, user))

    def _lighter_than(self, user: str) -> set[str]:
        """Return the other active users who are light beside `user`: they used less than `_LIGHT_PART` of its recent processor time."""
        limit_s = self._used.get(user, 0.0) * _LIGHT_PART
        if limit_s < _LEAST_S:
            return set()
        return {name for name in self._active_users() if name != user and self._used.get(name, 0.0) < limit_s}

    def _computes(self, light: set[str]) -> bool:
        """Return whether an invocation of these users computes and no processor is free."""
        runs = [run for run in self._runs if run.invocation.user in light and not run.invocation.is_over]
        computing = {run.invocation.user for run in runs if run.is_computing(fresh_ms=_FRESH_BESIDE_OTHERS_MS)}
        now = time.monotonic()
        self._computed_at |= dict.fromkeys(computing, now)
        if not computing or not self._is_contended():
            return False
        self._contended_at = now
        return True

    def _pauses(self, light: set[str], user: str) -> bool:
        """Return whether one of the light users has just computed, while no processor was free, and the user must wait for the next."""
        now = time.monotonic()
        if now - self._contended_at > _CONTENDED_S or now - self._began_at.get(user, 0.0) > _LONGEST_HOLD_S:
            return False
        return any(now - self._computed_at.get(name, 0.0) < _PAUSE_S for name in light)

    def _record_running(self) -> None:
        """Record the processor time of the running invocations so far, because a long one counts before its end."""
        self._record_database()
        for run in self._runs:
            if run.invocation.user and not run.invocation.is_over:
                self._record(run)

    def _record(self, run: _Run) -> None:
        """Add the processor time since the last look to what the user has used."""
        now_s = processor_time_s(run.process.pid)
        if now_s is not None and run.recorded_s is not None:
            self._used[run.invocation.user] = self._used.get(run.invocation.user, 0.0) + max(0.0, now_s - run.recorded_s)
        run.recorded_s = now_s if now_s is not None else run.recorded_s

    def _record_database(self) -> None:
        """Charge the invocations that have run since the last look with the processor time of the database."""
        used_s = self._database.look()
        for user in (run.invocation.user for run in self._runs) if used_s else ():
            if user:
                self._used[user] = self._used.get(user, 0.0) + used_s / len(self._runs)

    def _age(self) -> None:
        now = time.monotonic()
        part = 0.5 ** ((now - self._aged_at) / _HALF_LIFE_S)
        self._aged_at = now
        self._used = {user: used * part for user, used in self._used.items() if used * part > _LEAST_S / 100}

    def _active_users(self) -> set[str]:
        since = time.monotonic() - _ACTIVE_S
        self._seen_at = {user: seen for user, seen in self._seen_at.items() if seen > since}
        self._began_at = {user: began for user, began in self._began_at.items() if began > since}
        self._computed_at = {user: computed for user, computed in self._computed_at.items() if computed > since}
        return (self._seen_at.keys() | {run.invocation.user for run in self._runs if not run.invocation.is_over}) - {BULK, ""}
