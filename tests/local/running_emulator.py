"""Run an emulator in a thread of the test process."""

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
from local.logs import StackLog
from local.mailbox import Mailbox
from local.ports import free_port
from local.queues.server import QueueServer
from local.queues.service import QueueService
from local.runtime.launch import LaunchSpec, launch_from_sources
from local.server import listen
from local.services.aws_signature import AwsCredentials
from local.services.moto import AwsClient
from local.settings import DEFAULT_WORKERS
from local.template.load import load
from local.template.stack import Function, Stack
from local.watch import Watcher
from tests.support.time_limits import HANG_S


@dataclass
class RunningEmulator:
    """A running emulator, a client for it, and its terminal output."""

    url: str
    client: httpx2.Client
    emulator: Emulator
    terminal: io.StringIO
    logs: Path

    @classmethod
    @contextmanager
    def started(
        cls,
        stack: Stack,
        *,
        logs: Path,
        launch_spec_of: Callable[[Function], LaunchSpec] = launch_from_sources,
        watching: Path | None = None,
        aws_url: str | None = None,
        aws_credentials: AwsCredentials | None = None,
        mails: Path | None = None,
        queue_server: QueueServer | None = None,
        pool_size: int = DEFAULT_WORKERS,
        warms: bool = True,
    ) -> Iterator[Self]:
        port, terminal, begun, end = free_port(), io.StringIO(), threading.Event(), asyncio.Event()
        made: list[Any] = []

        async def main() -> None:
            console = Console(terminal)
            log = StackLog(console, logs)
            credentials = aws_credentials or AwsCredentials.create()
            extra_environment = {"WIRED": "yes"} | ({"AWS_ENDPOINT_URL": aws_url, **credentials.environment} if aws_url else {})
            queues = QueueService(logs / "queues") if queue_server else None
            if queue_server and queues:
                extra_environment |= {"AWS_ENDPOINT_URL_SQS": queue_server.url}
                await queue_server.start(queues)
            aws, mailbox = AwsClient(aws_url, credentials) if aws_url else None, Mailbox(mails) if mails else None
            emulator = Emulator(
                stack,
                log=log,
                extra_environment=extra_environment,
                launch_spec_of=launch_spec_of,
                aws=aws,
                queues=queues,
                mailbox=mailbox,
                pool_size=pool_size,
            )
            await emulator.prepare()
            await emulator.start(listen(port), warms=warms)
            tasks = [asyncio.create_task(mailbox.watch(log.mail_sent))] if mailbox else []
            if watching:
                watcher = Watcher(emulator, template=watching, load=lambda: load(watching, overrides={}), console=console)
                tasks.append(asyncio.create_task(watcher.run()))
            made.extend([emulator, asyncio.get_running_loop()])
            begun.set()
            await end.wait()
            for task in tasks:
                task.cancel()
            await emulator.stop()
            if aws:
                await aws.close()
            if queue_server and queues:
                await queue_server.stop()
                queues.close()
            log.close()

        thread = threading.Thread(target=asyncio.run, args=(main(),))
        thread.start()
        assert begun.wait(HANG_S)
        emulator, loop = made
        url = f"http://127.0.0.1:{port}"
        try:
            with httpx2.Client(base_url=url, timeout=HANG_S) as client:
                yield cls(url, client, emulator, terminal, logs)
        finally:
            loop.call_soon_threadsafe(end.set)
            thread.join(HANG_S)

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.client.get(path, **options)

    def post(self, path: str, **options: Any) -> httpx2.Response:
        return self.client.post(path, **options)

    def invoke(self, function: str, event: Any, **headers: str) -> httpx2.Response:
        return self.post(f"/_local/lambda/2015-03-31/functions/{function}/invocations", json=event, headers=headers)


def eventually(is_true: Callable[[], Any], *, within_s: float = HANG_S) -> bool:
    """Return whether a condition becomes true within the limit."""
    ends = time.monotonic() + within_s
    while time.monotonic() < ends:
        if is_true():
            return True
        time.sleep(0.02)
    return False
