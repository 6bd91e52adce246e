"""An emulator in a thread of the test process."""

import asyncio
import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx2

from local.console import Console
from local.emulator import Emulator
from local.journal import Journal
from local.ports import free_port
from local.server import listen
from local.template.stack import Stack


@dataclass
class Running:
    """The emulator, a client for it, and what it wrote to its terminal."""

    url: str
    client: httpx2.Client
    emulator: Emulator
    terminal: io.StringIO
    logs: Path

    @classmethod
    @contextmanager
    def started(cls, stack: Stack, *, logs: Path) -> Iterator[Self]:
        port, terminal, begun, end = free_port(), io.StringIO(), threading.Event(), asyncio.Event()
        made: list[Any] = []

        async def main() -> None:
            journal = Journal(Console(terminal), logs)
            emulator = Emulator(stack, journal=journal, wiring={"WIRED": "yes"})
            await emulator.start(listen(port))
            made.extend([emulator, asyncio.get_running_loop()])
            begun.set()
            await end.wait()
            await emulator.stop()
            journal.close()

        thread = threading.Thread(target=asyncio.run, args=(main(),))
        thread.start()
        assert begun.wait(20)
        emulator, loop = made
        url = f"http://127.0.0.1:{port}"
        with httpx2.Client(base_url=url, timeout=30) as client:
            yield cls(url, client, emulator, terminal, logs)
        loop.call_soon_threadsafe(end.set)
        thread.join(20)

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.client.get(path, **options)

    def post(self, path: str, **options: Any) -> httpx2.Response:
        return self.client.post(path, **options)

    def invoke(self, function: str, event: Any, **headers: str) -> httpx2.Response:
        return self.post(f"/_local/lambda/2015-03-31/functions/{function}/invocations", json=event, headers=headers)


def eventually(is_true: Callable[[], Any], *, within_s: float = 10) -> bool:
    """Return whether something becomes true in time."""
    ends = time.monotonic() + within_s
    while time.monotonic() < ends:
        if is_true():
            return True
        time.sleep(0.02)
    return False
