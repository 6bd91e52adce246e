"""The waiting invocations of one function. Users take turns."""

from collections import Counter, deque
from collections.abc import Iterable

from local.runtime.invocation import Invocation
from local.runtime.processor_share import BULK, ProcessorShare


class FairQueue:
    """A queue per user. The user with the fewest running invocations is next; in a tie, the user served longest ago.

    Invocations without a user (queues, schedules, the control API) share a queue and have no limit. Users who already compute
    on their share of the processors wait, and so does bulk work.
    """

    def __init__(self, share: ProcessorShare | None = None) -> None:
        self._share = share or ProcessorShare()
        self._waiting: dict[str, deque[Invocation]] = {}
        self._taken: list[Invocation] = []

    def put(self, invocation: Invocation) -> None:
        """Add an invocation to the end of its user's queue."""
        self._waiting.setdefault(invocation.user, deque()).append(invocation)

    def remove(self, invocation: Invocation) -> bool:
        """Remove the invocation; return False if it is not waiting."""
        if not self.has(invocation):
            return False
        self._waiting[invocation.user].remove(invocation)
        if not self._waiting[invocation.user]:
            del self._waiting[invocation.user]
        return True

    def has(self, invocation: Invocation) -> bool:
        """Return whether the invocation is waiting."""
        return invocation in self._waiting.get(invocation.user, ())

    def take(self, *, limit: int) -> Invocation | None:
        """Remove and return the next invocation of a user with fewer than `limit` running invocations, or return None."""
        running = self._running()
        users = [user for user in self._waiting if self._free(user, running, limit)]
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
        return sum(min(len(waiting), self._free(user, running, limit)) for user, waiting in self._waiting.items())

    @property
    def waiting_of_users(self) -> int:
        """The number of waiting invocations that have a user."""
        return sum(len(waiting) for user, waiting in self._waiting.items() if user)

    def drain(self) -> Iterable[Invocation]:
        """Remove and return all invocations."""
        waiting = [invocation for queue in self._waiting.values() for invocation in queue]
        self._waiting.clear()
        return waiting

    def _running(self) -> Counter[str]:
        self._taken = [invocation for invocation in self._taken if not invocation.is_over]
        return Counter(invocation.user for invocation in self._taken)

    def _free(self, user: str, running: Counter[str], limit: int) -> int:
        """Return how many further invocations of the user may run. A nested one needs no share: its user waits for it."""
        if not user or user == BULK:
            return self._share.free(user)
        free = max(0, limit - running[user])
        return free if not free or self._waiting[user][0].is_nested else min(free, self._share.free(user))
