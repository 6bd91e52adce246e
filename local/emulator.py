"""The stack in one process: gateway, functions, schedules and the doors, put together."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from local.control_api.admin import AdminEndpoint, MailEndpoint
from local.control_api.app import PublicApp
from local.control_api.invoke import InvokeEndpoint
from local.gateway.app import Gateway
from local.gateway.asgi import Receive, Send
from local.logs import StackLog
from local.mailbox import Mailbox
from local.runtime.fleet import Fleet
from local.runtime.launch import LaunchSpec, launch_from_sources
from local.server import Server
from local.services.moto import AwsClient, provision_stack
from local.settings import DEFAULT_WORKERS
from local.template.stack import Function, LambdaIntegration, Stack
from local.triggers.queue_pollers import QueuePollers
from local.triggers.scheduler import Scheduler


class Emulator:
    """Runs a stack; the services it needs are somebody else's, and come in by `extra_environment`."""

    def __init__(
        self,
        stack: Stack,
        *,
        log: StackLog,
        extra_environment: Mapping[str, str],
        launch_spec_of: Callable[[Function], LaunchSpec] = launch_from_sources,
        services: Callable[[], dict[str, Any]] = dict,
        aws: AwsClient | None = None,
        mailbox: Mailbox | None = None,
        pool_size: int = DEFAULT_WORKERS,
    ) -> None:
        self.fleet = Fleet(
            stack.functions, launch_spec_of=launch_spec_of, extra_environment=extra_environment, log=log, pool_size=pool_size
        )
        self._log = log
        self._services = services
        self._aws = aws
        self._mailbox = mailbox
        self._server = Server(self._serve)
        self._warming: asyncio.Task[None] | None = None
        self._running: list[asyncio.Task[None]] = []
        self._pollers = QueuePollers(aws, fleet=self.fleet, log=log) if aws else None
        self._open(stack)

    async def prepare(self, stack: Stack | None = None) -> None:
        """Make the queues, buckets and senders that a stack (or the one that is served) needs; raises `ServiceFailed`."""
        if self._aws:
            await provision_stack(stack or self.stack, self._aws)

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
        if self._pollers:
            await self._pollers.stop()
        await self._server.stop()
        await self.fleet.stop()

    def _run(self) -> None:
        """Start what calls functions by itself."""
        self._running = [asyncio.create_task(self._scheduler.run())]
        if self._pollers:
            self._running.append(asyncio.create_task(self._pollers.run(self.stack.event_sources)))

    def _open(self, stack: Stack) -> None:
        self.stack = stack
        self._scheduler = Scheduler(stack.schedules, fleet=self.fleet, log=self._log)
        gateway = Gateway(stack.api, fleet=self.fleet, log=self._log)
        admin_endpoint = AdminEndpoint(stack, fleet=self.fleet, scheduler=self._scheduler, services=self._services, aws=self._aws)
        self._app = PublicApp(
            gateway, admin_endpoint=admin_endpoint, invoke_endpoint=InvokeEndpoint(self.fleet), mail_endpoint=MailEndpoint(self._mailbox)
        )

    async def _serve(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def _first_needed(self) -> list[str]:
        api = self.stack.api
        names = [authorizer.function for authorizer in api.authorizers.values()]
        names += [route.integration.function for route in api.routes if isinstance(route.integration, LambdaIntegration)]
        return list(dict.fromkeys(names))
