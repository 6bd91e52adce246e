"""The emulator: gateway, functions, triggers and control API in one process."""

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
from local.queues.service import QueueService
from local.runtime.fleet import Fleet
from local.runtime.launch import LaunchSpec, launch_from_sources
from local.server import HttpServer
from local.services.moto import AwsClient, provision_stack
from local.settings import DEFAULT_WORKERS
from local.template.stack import Function, LambdaIntegration, Stack
from local.triggers.event_sources import EventSources
from local.triggers.scheduler import Scheduler


class Emulator:
    """Runs a stack. The caller runs the services; functions reach them through `extra_environment`."""

    def __init__(
        self,
        stack: Stack,
        *,
        log: StackLog,
        extra_environment: Mapping[str, str],
        launch_spec_of: Callable[[Function], LaunchSpec] = launch_from_sources,
        services: Callable[[], dict[str, Any]] = dict,
        aws: AwsClient | None = None,
        queues: QueueService | None = None,
        mailbox: Mailbox | None = None,
        pool_size: int = DEFAULT_WORKERS,
    ) -> None:
        self.fleet = Fleet(
            stack.functions,
            launch_spec_of=launch_spec_of,
            extra_environment=extra_environment,
            log=log,
            pool_size=pool_size,
            database_pid=lambda: services().get("postgres", {}).get("pid"),
        )
        self._log = log
        self._services = services
        self._aws = aws
        self._queues = queues
        self._mailbox = mailbox
        self._server = HttpServer(self._serve)
        self._warming: asyncio.Task[None] | None = None
        self._running: list[asyncio.Task[None]] = []
        self._event_sources = EventSources(queues, fleet=self.fleet, log=log) if queues else None
        self._build_app(stack)

    async def prepare(self, stack: Stack | None = None) -> None:
        """Create the queues, buckets and senders of a stack (default: the current one). Raises `ServiceFailed`."""
        stack = stack or self.stack
        if self._queues:
            self._queues.provision(stack.queues.values())
        if self._aws:
            await provision_stack(stack, self._aws)

    def swap(self, stack: Stack) -> list[str]:
        """Replace the stack; return the names of the new and the changed functions.

        Running requests finish on the previous stack.
        """
        changed = self.fleet.adopt(stack.functions)
        self._build_app(stack)
        if self._running:
            for task in self._running:
                task.cancel()
            self._start_triggers()
        return changed

    async def start(self, listening: socket.socket, *, warms: bool = True) -> None:
        """Serve on the socket and start the triggers.

        With `warms`, the functions behind the API start in the background. Otherwise each starts at its first request.
        """
        await self._server.start(listening)
        if warms:
            self._warming = asyncio.create_task(self.fleet.warm(self._api_functions()))
        self._start_triggers()

    async def stop(self) -> None:
        """Stop triggers, server and workers; running requests get a short grace period."""
        for task in filter(None, (self._warming, *self._running)):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._event_sources:
            await self._event_sources.stop()
        await self._server.stop()
        await self.fleet.stop()

    def _start_triggers(self) -> None:
        """Start the scheduler and the event sources."""
        self._running = [asyncio.create_task(self._scheduler.run())]
        if self._event_sources:
            self._running.append(asyncio.create_task(self._event_sources.run(self.stack.event_sources)))

    def _build_app(self, stack: Stack) -> None:
        self.stack = stack
        self._scheduler = Scheduler(stack.schedules, fleet=self.fleet, log=self._log)
        gateway = Gateway(stack.api, fleet=self.fleet, log=self._log)
        admin_endpoint = AdminEndpoint(
            stack, fleet=self.fleet, scheduler=self._scheduler, services=self._services, aws=self._aws, queues=self._queues
        )
        self._app = PublicApp(
            gateway, admin_endpoint=admin_endpoint, invoke_endpoint=InvokeEndpoint(self.fleet), mail_endpoint=MailEndpoint(self._mailbox)
        )

    async def _serve(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def _api_functions(self) -> list[str]:
        """Return the names of the functions behind the API, authorizers first."""
        api = self.stack.api
        names = [authorizer.function for authorizer in api.authorizers.values()]
        names += [route.integration.function for route in api.routes if isinstance(route.integration, LambdaIntegration)]
        return list(dict.fromkeys(names))
