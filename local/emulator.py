"""The stack in one process: gateway, functions, schedules and the doors, put together."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from local.doors.admin import Admin
from local.doors.app import FrontDoor
from local.doors.invoke import InvokeEndpoint
from local.gateway.app import Gateway
from local.gateway.wire import Receive, Send
from local.journal import Journal
from local.runtime.code import Code, from_sources
from local.runtime.fleet import Fleet
from local.server import Server
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
        pool_size: int = DEFAULT_WORKERS,
    ) -> None:
        self.fleet = Fleet(stack.functions, code_of=code_of, wiring=wiring, journal=journal, pool_size=pool_size)
        self._journal = journal
        self._services = services
        self._server = Server(self._serve)
        self._warming: asyncio.Task[None] | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._open(stack)

    def swap(self, stack: Stack) -> list[str]:
        """Serve another stack from now on; return the names of the functions that are new or changed.

        Requests that run already end as they began.
        """
        changed = self.fleet.adopt(stack.functions)
        self._open(stack)
        if self._ticking:
            self._ticking.cancel()
            self._ticking = asyncio.create_task(self._clockwork.run())
        return changed

    async def start(self, listening: socket.socket) -> None:
        """Serve on the socket, and start a worker of each function that answers requests in the background."""
        await self._server.start(listening)
        self._warming = asyncio.create_task(self.fleet.warm(self._first_needed()))
        self._ticking = asyncio.create_task(self._clockwork.run())

    async def stop(self) -> None:
        """End everything; requests that still run get a moment."""
        for task in filter(None, (self._warming, self._ticking)):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._server.stop()
        await self.fleet.stop()

    def _open(self, stack: Stack) -> None:
        self.stack = stack
        self._clockwork = Clockwork(stack.schedules, fleet=self.fleet, log=self._journal)
        gateway = Gateway(stack.api, fleet=self.fleet, log=self._journal)
        doors = Admin(stack, fleet=self.fleet, clockwork=self._clockwork, services=self._services)
        self._door = FrontDoor(gateway, doors=doors, invoke_endpoint=InvokeEndpoint(self.fleet))

    async def _serve(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await self._door(scope, receive, send)

    def _first_needed(self) -> list[str]:
        api = self.stack.api
        names = [authorizer.function for authorizer in api.authorizers.values()]
        names += [route.integration.function for route in api.routes if isinstance(route.integration, Invocation)]
        return list(dict.fromkeys(names))
