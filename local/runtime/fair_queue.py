"""The invocations that wait for a worker of one function, served to users in turn."""

from collections import Counter, deque
from collections.abc import Iterable

from local.runtime.invocation import Invocation


class FairQueue:
    """A queue per user. The user with the fewest running invocations is next; among equals, the one served longest ago.

    Invocations without a user (queues, schedules, the control API) share a queue and have no limit.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Invocation]] = {}
        self._taken: list[Invocation] = []

    def put(self, invocation: Invocation) -> None:
        """Add an invocation behind those of its user."""
        self._waiting.setdefault(invocation.user, deque()).append(invocation)

    def take(self, *, limit: int) -> Invocation | None:
        """Remove and return the next invocation of a user with fewer than `limit` running, or None."""
        running = self._running()
        users = [user for user in self._waiting if _free(user, running, limit)]
        if not users:
            return None
        # min() returns the first of equals, and a user who is served moves to the end.
        user = min(users, key=lambda name: running[name])
        waiting = self._waiting.pop(user)
        invocation = waiting.popleft()
        if waiting:
            self._waiting[user] = waiting
        self._taken.append(invocation)
        return invocation

    def ready(self, *, limit: int) -> int:
        """Return how many invocations could run now if there were workers for them."""
        running = self._running()
        return sum(min(len(waiting), _free(user, running, limit)) for user, waiting in self._waiting.items())

    def drain(self) -> Iterable[Invocation]:
        """Remove and return all invocations."""
        waiting = [invocation for queue in self._waiting.values() for invocation in queue]
        self._waiting.clear()
        return waiting

    def _running(self) -> Counter[str]:
        self._taken = [invocation for invocation in self._taken if not invocation.is_over]
        return Counter(invocation.user for invocation in self._taken)


def _free(user: str, running: Counter[str], limit: int) -> int:
    """Return how many further invocations of the user may run."""
    return max(0, limit - running[user]) if user else 1_000_000
