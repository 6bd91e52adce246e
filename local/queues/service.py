"""The stack's queues: the store, with waiting consumers that a message wakes, and with durable sends."""

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from local.queues.store import QueueStore, ReceivedMessage, SentMessage
from local.template.stack import StackQueue

# The event loop's clock stops while a laptop is suspended, so a delay may be over earlier than its timer.
_LONGEST_SLEEP_S = 60.0


class QueueService:
    """The stack's queues, which are stored in `folder`. Call all methods in the thread of one event loop."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.store = QueueStore(folder / "queues.sqlite")
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="queues")
        self._flush: asyncio.Future[None] | None = None
        self._next_flush: asyncio.Future[None] | None = None

    def close(self) -> None:
        """Close the store; all commits are on disk."""
        self._disk.shutdown()
        self.store.disk.flush()
        self.store.close()

    def provision(self, queues: Iterable[StackQueue]) -> None:
        """Create the missing queues and update their attributes. Other queues stay, with their messages."""
        wanted = list(queues)
        for queue in wanted:
            self.store.create(queue.name, {})
        # In a second pass, because the queue that a redrive policy names must exist.
        for queue in wanted:
            self.store.set_attributes(queue.name, queue.attributes)

    async def send(
        self, name: str, body: str, *, delay_s: int | None = None, attributes: Mapping[str, Mapping[str, Any]] | None = None
    ) -> SentMessage:
        """Send a message and return once it is on disk. Consumers may receive the message earlier."""
        message = self.store.send(name, body, delay_s=delay_s, attributes=attributes)
        await self.announce(name)
        return message

    async def announce(self, name: str) -> None:
        """Wake the queue's consumers, and return once everything sent so far is on disk."""
        self._wake(name)
        await self._flushed()

    async def _flushed(self) -> None:
        """Wait until everything sent so far is on disk. Concurrent calls share a write."""
        if self._flush is None:
            self._flush = self._start_flush()
            await asyncio.shield(self._flush)
            return
        # The running write may have begun before this commit, so this call waits for the next one.
        if self._next_flush is None:
            self._next_flush = asyncio.ensure_future(self._flush_after(self._flush))
        await asyncio.shield(self._next_flush)

    async def wait_for_message(self, name: str, *, within_s: float | None = None) -> bool:
        """Wait for a visible message, without receiving it, and return whether there is one. `None` waits without limit."""
        loop = asyncio.get_running_loop()
        ends = None if within_s is None else loop.time() + within_s
        while True:
            due_s = self.store.seconds_until_visible(name)
            if due_s is not None and due_s <= 0:
                return True
            left_s = _LONGEST_SLEEP_S if ends is None else ends - loop.time()
            if left_s <= 0:
                return False
            await self._wait_for_change(name, min(left_s, _LONGEST_SLEEP_S if due_s is None else due_s))

    async def receive(self, name: str, *, count: int, visibility_s: int | None = None, wait_s: float = 0) -> list[ReceivedMessage]:
        """Receive up to `count` messages; if there are none, wait up to `wait_s` for the first."""
        ends = asyncio.get_running_loop().time() + wait_s
        while True:
            messages = self.store.receive(name, count=count, visibility_s=visibility_s)
            left_s = ends - asyncio.get_running_loop().time()
            if messages or left_s <= 0:
                return messages
            await self.wait_for_message(name, within_s=left_s)

    def delete(self, name: str, handle: str) -> None:
        """Delete a message."""
        self.store.delete(name, handle)

    def change_visibility(self, name: str, handle: str, *, visibility_s: int) -> None:
        """Hide a message for `visibility_s` from now on."""
        self.store.change_visibility(name, handle, visibility_s=visibility_s)
        self._wake(name)

    def state(self) -> list[dict[str, Any]]:
        """Return the message counts of all queues, for `parley status`."""
        return [
            {
                "name": name,
                "visible": counts.visible,
                "in_flight": counts.in_flight,
                "delayed": counts.delayed,
                "dead_letters": self.store.dead_letters(name),
            }
            for name in self.store.names()
            for counts in [self.store.counts(name)]
        ]

    def _wake(self, name: str) -> None:
        for waiter in self._waiters.pop(name, ()):
            if not waiter.done():
                waiter.set_result(None)

    async def _wait_for_change(self, name: str, within_s: float) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(name, set()).add(waiter)
        try:
            await asyncio.wait([waiter], timeout=within_s)
        finally:
            self._waiters.get(name, set()).discard(waiter)

    def _start_flush(self) -> asyncio.Future[None]:
        flush = asyncio.get_running_loop().run_in_executor(self._disk, self.store.disk.flush)
        flush.add_done_callback(self._flush_ended)
        return flush

    def _flush_ended(self, flush: asyncio.Future[None]) -> None:
        if self._flush is flush:
            self._flush = None

    async def _flush_after(self, running: asyncio.Future[None]) -> None:
        await asyncio.wait([running])
        self._next_flush = None
        self._flush = self._start_flush()
        await asyncio.shield(self._flush)
