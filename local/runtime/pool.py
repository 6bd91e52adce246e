"""The workers of one function. They start on demand, the most recently used worker is reused first, and users take turns."""

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from local.runtime.fair_queue import FairQueue
from local.runtime.fork_server import ForkServer
from local.runtime.invocation import Invocation
from local.runtime.launch import LaunchSpec
from local.runtime.outcome import Failure
from local.runtime.processor_share import BULK, ProcessorShare
from local.runtime.worker import Worker
from local.template.stack import Function

# The niceness of workers for bulk work. Not that of the work itself: an invocation has a time limit, which a busy machine would exceed.
_NICENESS_FOR_BULK = 5
_POLL_S = 0.02
_SHARE_POLL_S = 0.01


class FunctionLog(Protocol):
    """Logs a function's output, Lambda's platform reports, and errors to show at once."""

    def output(self, function: str, text: str) -> None: ...

    def platform(self, function: str, text: str) -> None: ...

    def alert(self, function: str, text: str) -> None: ...


@dataclass
class PoolCounts:
    """Totals of a pool since its creation."""

    invocations: int = 0
    errors: int = 0
    peak_mb: float = 0


class Pool:
    """Runs the invocations of one function on at most `size` workers; further invocations wait.

    Users take turns. If there are several workers, a single user cannot occupy all of them, so another user's invocation can start.
    The pools of a fleet have one `share` in common.
    """

    def __init__(
        self,
        function: Function,
        *,
        spec: LaunchSpec,
        extra_environment: Mapping[str, str],
        log: FunctionLog,
        size: int,
        share: ProcessorShare | None = None,
        starts: asyncio.Semaphore | None = None,
    ) -> None:
        self.function = function
        self.counts = PoolCounts()
        self._bulk_pool: Pool | None = None
        self._spec = spec
        self._extra_environment = extra_environment
        self._log = log
        self._max_size = size
        self._size = min(size, function.concurrency or size)
        self._share = share or ProcessorShare()
        self._queue = FairQueue(self._share)
        self._retry: asyncio.TimerHandle | None = None
        self._idle: list[tuple[Worker, asyncio.Future[Invocation]]] = []
        self._workers: dict[Worker, asyncio.Task[None]] = {}
        self._retired: set[Worker] = set()
        # Each import of a function takes one of these.
        self._starts = starts or asyncio.Semaphore(os.cpu_count() or 1)
        self._fork_servers = [self._new_fork_server()]

    def submit(
        self, payload: bytes, *, trace_id: str = "", user: str = "", is_nested: bool = False, is_for_bulk: bool = False
    ) -> Invocation:
        """Give the event to an idle worker, or queue it and start a worker if the limits allow.

        With `is_for_bulk`, a bulk function waits for the result. A worker cannot lower its priority and raise it again, so such
        invocations have workers of their own, which give way to those of users' requests.
        """
        if is_for_bulk and not self.function.niceness:
            self._bulk_pool = self._bulk_pool or self._new_bulk_pool()
            return self._bulk_pool.submit(payload, trace_id=trace_id, user=BULK)
        invocation = Invocation(payload, trace_id=trace_id, user=user, is_nested=is_nested)
        self.counts.invocations += 1
        self._share.see(user)
        self._queue.put(invocation)
        self._hand_out()
        self._grow()
        return invocation

    def is_waiting(self, invocation: Invocation) -> bool:
        """Return whether no worker has taken the invocation yet."""
        return self._queue.has(invocation)

    def withdraw(self, invocation: Invocation, failure: Failure) -> bool:
        """Fail the invocation and return True if no worker has taken it yet; a running one finishes undisturbed."""
        if not self._queue.remove(invocation):
            return False
        invocation.fail(failure)
        return True

    def warm(self, count: int = 1) -> None:
        """Start workers until there are `count`, so that invocations need not wait for them."""
        for _ in range(count - len(self._workers.keys() - self._retired)):
            self._start()

    async def ready(self) -> bool:
        """Wait until no worker is starting; return whether any has started."""
        while any(worker.state == "starting" for worker in self._workers.keys() - self._retired):
            await asyncio.sleep(_POLL_S)
        return bool(self._workers.keys() - self._retired)

    def replace(self, spec: LaunchSpec, function: Function | None = None) -> None:
        """Run later invocations on new workers, with `function` as the new definition if given. Running invocations finish undisturbed."""
        self._spec = spec
        self.function = function or self.function
        self._size = min(self._max_size, self.function.concurrency or self._max_size)
        self._retire()
        self._fork_servers[-1].retire()
        self._fork_servers = [server for server in self._fork_servers if server.is_running] + [self._new_fork_server()]
        self._grow()
        if self._bulk_pool:
            self._bulk_pool.replace(spec, self._bulk_function)

    def close(self) -> None:
        """Refuse further invocations: queued ones fail, running ones finish undisturbed."""
        self._size = 0
        self._retire()
        self._fork_servers[-1].retire()
        for invocation in self._queue.drain():
            invocation.fail(Failure("ResourceNotFoundException", f"{self.function.name} is no longer in the template"))
        if self._bulk_pool:
            self._bulk_pool.close()

    async def stop(self) -> None:
        """Stop every worker and wait until all have ended."""
        self._queue.drain()
        self._size = 0
        for worker in self._workers:
            worker.stop()
        await asyncio.gather(*(server.stop() for server in self._fork_servers))
        await asyncio.gather(*self._workers.values(), return_exceptions=True)
        if self._bulk_pool:
            await self._bulk_pool.stop()

    def states(self) -> Counter[str]:
        """Return how many workers are starting, idle, busy or finishing."""
        states: Counter[str] = Counter(worker.state for worker in self._workers)
        return states + self._bulk_pool.states() if self._bulk_pool else states

    async def next_for(self, worker: Worker) -> Invocation:
        if worker in self._retired:
            worker.stop()
        elif invocation := self._take_for(worker):
            return invocation
        handover: asyncio.Future[Invocation] = asyncio.get_running_loop().create_future()
        if worker not in self._retired:
            self._idle.append((worker, handover))
            self._retry_if_held()
        return await handover

    def finished(self, worker: Worker, invocation: Invocation) -> None:
        self._fork_servers[-1].note_finished()
        self._share.end(invocation)
        self.counts.errors += invocation.failure is not None
        # The user's next invocation may now run on a worker that was kept free for others.
        self._hand_out()
        peak = worker.peak_mb or 0
        self._warn_of_memory(peak)
        self.counts.peak_mb = max(self.counts.peak_mb, peak)
        self._log.platform(
            self.function.name,
            f"REPORT RequestId: {invocation.id}\tDuration: {invocation.elapsed_ms:.2f} ms\t"
            f"Memory Size: {self.function.memory_mb} MB\tMax Memory Used: {peak:.0f} MB",
        )

    def init_failed(self, worker: Worker, failure: Failure) -> None:
        """Fail the next queued invocation, which AWS would have given to this worker."""
        self._log.alert(self.function.name, f"cannot start: {failure.message}")
        if worker not in self._retired and (invocation := self._queue.take(limit=self._user_limit)):
            invocation.fail(replace(failure, is_init=True))
            self.counts.errors += 1

    def dismiss(self, worker: Worker) -> None:
        """Give the worker no further invocation."""
        self._idle = [(idle, handover) for idle, handover in self._idle if idle is not worker]

    def gone(self, worker: Worker) -> None:
        self.dismiss(worker)
        self._workers.pop(worker, None)
        self._retired.discard(worker)
        self._hand_out()
        self._grow()

    def output(self, text: str) -> None:
        self._log.output(self.function.name, text)

    def _retire(self) -> None:
        self._retired |= self._workers.keys()
        for worker in self._workers:
            if worker.state in ("idle", "starting"):
                worker.stop()
        self._idle.clear()

    @property
    def _user_limit(self) -> int:
        """How many invocations of one user may run. One worker stays free for other users, unless there is only one worker."""
        return max(1, self._size - 1)

    @property
    def _user_limit_now(self) -> int:
        """The limit with the workers that have started. While several users are active, a worker stays free for the next of them."""
        if not self._share.has_several_users:
            return self._user_limit
        started = sum(1 for worker in self._workers.keys() - self._retired if worker.state != "starting")
        return max(1, min(self._user_limit, started - 1))

    def _hand_out(self) -> None:
        """Give queued invocations to idle workers, the most recently used first."""
        while self._idle:
            worker, handover = self._idle.pop()
            if handover.done():
                continue
            invocation = self._take_for(worker)
            if invocation is None:
                self._idle.append((worker, handover))
                break
            handover.set_result(invocation)
        self._retry_if_held()

    def _take_for(self, worker: Worker) -> Invocation | None:
        invocation = self._queue.take(limit=self._user_limit_now)
        if invocation:
            self._share.begin(invocation, worker)
        return invocation

    def _retry_if_held(self) -> None:
        """Look again soon if an invocation waits although a worker is idle or could be started.

        It waits for its user's share, and a worker that stops computing does not report it. Whether it computes changes from moment
        to moment, so a second look at the share could differ from the one that held the invocation back.
        """
        active = self._workers.keys() - self._retired
        available_soon = sum(1 for worker in active if worker.state in ("starting", "finishing"))
        has_room = bool(self._idle) or len(active) < self._size
        if self._retry is None and has_room and self._queue.waiting_of_users > available_soon:
            self._retry = asyncio.get_running_loop().call_later(_SHARE_POLL_S, self._retry_now)

    def _retry_now(self) -> None:
        self._retry = None
        self._hand_out()
        self._grow()

    def _grow(self) -> None:
        """Start workers, within the limit, for the queued invocations that no starting or finishing worker will soon take."""
        active = self._workers.keys() - self._retired
        available_soon = sum(1 for worker in active if worker.state in ("starting", "finishing"))
        for _ in range(min(self._queue.ready(limit=self._user_limit) - available_soon, self._size - len(active))):
            self._start()

    def _start(self) -> None:
        worker = Worker(self.function, self._spec, self, fork_server=self._fork_servers[-1], starts=self._starts)
        self._workers[worker] = asyncio.create_task(worker.run(self._extra_environment))

    @property
    def _bulk_function(self) -> Function:
        return replace(self.function, niceness=_NICENESS_FOR_BULK)

    def _new_bulk_pool(self) -> "Pool":
        pool = Pool(
            self._bulk_function,
            spec=self._spec,
            extra_environment=self._extra_environment,
            log=self._log,
            size=self._max_size,
            share=self._share,
            starts=self._starts,
        )
        pool.counts = self.counts
        return pool

    def _new_fork_server(self) -> ForkServer:
        return ForkServer(self.function, self._spec, output=self.output, starts=self._starts)

    def _warn_of_memory(self, peak: float) -> None:
        limit = self.function.memory_mb
        if peak > limit >= self.counts.peak_mb:
            self._log.alert(self.function.name, f"used {peak:.0f} MB but has {limit} MB: AWS would have killed it")
