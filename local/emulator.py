"""The stack in one process: gateway, functions, schedules and the doors, put together."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from local.doors.admin import Admin
from local.doors.app import FrontDoor
from local.doors.invoke import InvokeEndpoint
from local.doors.mail import MailDoor
from local.event_sources import Readers
from local.gateway.app import Gateway
from local.gateway.wire import Receive, Send
from local.journal import Journal
from local.mailbox import Mailbox
from local.runtime.code import Code, from_sources
from local.runtime.fleet import Fleet
from local.server import Server
from local.services.endpoint import Endpoint
from local.services.provision import provide
from local.settings import DEFAULT_WORKERS
from local.sources import Clockwork
from local.template.stack import Function, Invocation, Stack


class Emulator:
    """Runs a stack; the services it needs are somebody else's, and come in by `wiring`."""

    def __init__(
        self,
        stack: Stack,
        *,
        journal: Journal,
        wiring: Mapping[str, str],
        code_of: Callable[[Function], Code] = from_sources,
        services: Callable[[], dict[str, Any]] = dict,
        aws: Endpoint | None = None,
        mailbox: Mailbox | None = None,
        pool_size: int = DEFAULT_WORKERS,
    ) -> None:
        self.fleet = Fleet(stack.functions, code_of=code_of, wiring=wiring, journal=journal, pool_size=pool_size)
        self._journal = journal
        self._services = services
        self._aws = aws
        self._mailbox = mailbox
        self._server = Server(self._serve)
        self._warming: asyncio.Task[None] | None = None
        self._running: list[asyncio.Task[None]] = []
        self._readers = Readers(aws, fleet=self.fleet, log=journal) if aws else None
        self._open(stack)

    async def prepare(self, stack: Stack | None = None) -> None:
        """Make the queues, buckets and senders that a stack (or the one that is served) needs; raises `ServiceFailed`."""
        if self._aws:
            await provide(stack or self.stack, self._aws)

    def swap(self, stack: Stack) -> list[str]:
        """Serve another stack from now on; return the names of the functions that are new or changed.

        Requests that run already end as they began.
        """
        changed = self.fleet.adopt(stack.functions)
        self._open(stack)
        if self._running:
            for task in self._running:
                task.cancel()
            self._run()
        return changed

    async def start(self, listening: socket.socket) -> None:
        """Serve on the socket, and start a worker of each function that answers requests in the background."""
        await self._server.start(listening)
        self._warming = asyncio.create_task(self.fleet.warm(self._first_needed()))
        self._run()

    async def stop(self) -> None:
        """End everything; requests that still run get a moment."""
        for task in filter(None, (self._warming, *self._running)):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._readers:
            await self._readers.stop()
        await self._server.stop()
        await self.fleet.stop()

    def _run(self) -> None:
        """Start what calls functions by itself."""
        self._running = [asyncio.create_task(self._clockwork.run())]
        if self._readers:
            self._running.append(asyncio.create_task(self._readers.run(self.stack.event_sources)))

    def _open(self, stack: Stack) -> None:
        self.stack = stack
        self._clockwork = Clockwork(stack.schedules, fleet=self.fleet, log=self._journal)
        gateway = Gateway(stack.api, fleet=self.fleet, log=self._journal)
        doors = Admin(stack, fleet=self.fleet, clockwork=self._clockwork, services=self._services, aws=self._aws)
        self._door = FrontDoor(gateway, doors=doors, invoke_endpoint=InvokeEndpoint(self.fleet), mail_door=MailDoor(self._mailbox))

    async def _serve(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await self._door(scope, receive, send)

    def _first_needed(self) -> list[str]:
        api = self.stack.api
        names = [authorizer.function for authorizer in api.authorizers.values()]
        names += [route.integration.function for route in api.routes if isinstance(route.integration, Invocation)]
        return list(dict.fromkeys(names))
