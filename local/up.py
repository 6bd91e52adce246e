"""`parley up`: run the whole stack on this machine until interrupted."""

import asyncio
import contextlib
import json
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial

from local import parameters
from local.console import Console, command_as_typed
from local.data_dir import DataDir
from local.emulator import Emulator
from local.logs import StackLog
from local.mailbox import Mailbox
from local.runtime.launch import LaunchSpec, launch_from_build, launch_from_sources
from local.runtime.outcome import Failure
from local.sam_build import tree
from local.sam_build.tree import BuildTree, check_runnable, newer_source
from local.server import listen
from local.services.stack_services import StackServices
from local.settings import DEFAULT_PORT, EmulatorSettings
from local.template.stack import Function, Stack

_MIGRATE = "MigrateFunction"


class MigrationFailed(Exception):
    """The migrations failed, so the stack was not started."""


async def up(settings: EmulatorSettings, console: Console) -> None:
    """Run until SIGINT, SIGTERM or SIGHUP. If the start fails, stop everything and raise the error."""
    began = time.monotonic()
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with contextlib.AsyncExitStack() as cleanup:
        if settings.built:
            _check_build(BuildTree(settings.built), console)
        listening = cleanup.enter_context(listen(settings.port, settings.host))
        folder = DataDir(settings.data)
        folder.open()
        cleanup.callback(folder.close)
        run = _Run(settings, folder, console, cleanup)
        if await _finished_before(stop, run.start(listening)):
            _print_welcome(settings, console, time.monotonic() - began)
            await stop.wait()
        console.print("\nstopping …", "dim")


def _check_build(tree: BuildTree, console: Console) -> None:
    check_runnable(tree)
    if source := newer_source(tree):
        console.print(
            f"{source} is newer than the build in {tree.root}. Run `make build ARCHITECTURE=native` to update the build.", "yellow"
        )


async def _finished_before(stop: asyncio.Event, work: Awaitable[None]) -> bool:
    """Await the work and return True; if `stop` is set first, cancel the work and return False."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        return False
    working.result()
    return True


class _Run:
    """A run of the stack. Everything it starts is registered with `cleanup`."""

    def __init__(self, settings: EmulatorSettings, folder: DataDir, console: Console, cleanup: contextlib.AsyncExitStack) -> None:
        self._settings = settings
        self._folder = folder
        self._console = console
        self._cleanup = cleanup
        self._log = StackLog(console, folder.logs, is_verbose=settings.is_verbose)
        self._mailbox = Mailbox(folder.mail)
        cleanup.callback(self._log.close)

    async def start(self, listening: socket.socket) -> None:
        """Start the services while the template loads, migrate the database, and serve."""
        services = StackServices(
            self._folder,
            wants_pgbouncer=self._settings.wants_pgbouncer,
            host=self._settings.host,
            aws_port=self._settings.aws_port,
            database_url=self._settings.database_url,
            upload_origins=self._settings.upload_origins,
            report=lambda text: self._console.print(text, "red"),
            step=self._console.step,
        )
        self._cleanup.push_async_callback(services.stop)
        starting = asyncio.create_task(services.start())
        try:
            emulator = await self._emulator(services)
            await starting
            async with asyncio.TaskGroup() as preparing:
                preparing.create_task(emulator.prepare())
                preparing.create_task(self._migrate(emulator))
            self._show_mail()
            if not parameters.is_embedder_installed(self._settings):
                self._console.print(
                    "The embedding model is not installed, so searches of memory and documents compare words only (see `make embedder`).",
                    "yellow",
                )
            await emulator.start(listening, warms=self._settings.wants_warm)
            if self._settings.is_watching:
                self._watch(emulator, services)
        finally:
            starting.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await starting

    async def _emulator(self, services: StackServices) -> Emulator:
        began = time.monotonic()
        stack = await asyncio.to_thread(self._load, services)
        detail = f"{len(stack.functions)} functions, {len(stack.api.routes)} routes, {len(stack.schedules)} schedules"
        self._console.step("template", detail, time.monotonic() - began)
        environment = parameters.extra_environment(self._settings, services)
        emulator = Emulator(
            stack,
            log=self._log,
            extra_environment=environment,
            launch_spec_of=_launch_spec_source(self._settings),
            services=services.status,
            aws=services.aws,
            queues=services.queues,
            mailbox=self._mailbox,
            pool_size=self._settings.workers,
        )
        self._cleanup.push_async_callback(emulator.stop)
        if _MIGRATE in stack.functions:
            # The migration's modules load while the database starts.
            emulator.fleet.pools[_MIGRATE].warm()
        return emulator

    def _load(self, services: StackServices) -> Stack:
        # The import takes about a second; in this thread it overlaps the start of the services.
        from local.template.load import load

        settings = self._settings
        offered = parameters.template_parameters(settings, services)
        return load(
            settings.template,
            overrides=settings.parameters,
            offered=offered,
            queues_url=services.queues_url,
            checks_rules=True,
            variables=parameters.set_variables(),
        )

    def _show_mail(self) -> None:
        showing = asyncio.create_task(self._mailbox.watch(self._log.mail_sent))
        self._cleanup.callback(showing.cancel)

    def _watch(self, emulator: Emulator, services: StackServices) -> None:
        from local.watch import Watcher

        load = partial(self._load, services)
        watcher = Watcher(emulator, template=self._settings.template, load=load, console=self._console)
        watching = asyncio.create_task(watcher.run())
        self._cleanup.callback(watching.cancel)

    async def _migrate(self, emulator: Emulator) -> None:
        if _MIGRATE not in emulator.stack.functions:
            return
        began = time.monotonic()
        outcome = await emulator.fleet.submit(_MIGRATE, b"{}").outcome
        if isinstance(outcome, Failure):
            raise MigrationFailed(f"{_MIGRATE} failed: {outcome.error_type}: {outcome.message}")
        payload = getattr(outcome, "payload", b"null")
        self._console.step("migrations", _migration_summary(payload), time.monotonic() - began)


def _launch_spec_source(settings: EmulatorSettings) -> Callable[[Function], LaunchSpec]:
    if settings.built:
        return partial(launch_from_build, runtime=tree.RUNTIME_FOLDER)
    return partial(launch_from_sources, wants_stand_in=settings.wants_stand_in)


def _migration_summary(payload: bytes) -> str:
    text = json.dumps(json.loads(payload))
    return text if len(text) <= 50 else "done"


def _print_welcome(settings: EmulatorSettings, console: Console, seconds: float) -> None:
    url_option = "" if settings.port == DEFAULT_PORT else f" --url {settings.url}"
    parley = command_as_typed()
    console.print(f"Parley is up at {settings.url}   (ready in {seconds:.1f} s)", "bold")
    console.print("  open that address in a browser, or")
    console.print(f"  try:  {parley} register you@example.com{url_option}")
    console.print(f'        {parley} chat "What is 12.5% of 840?"{url_option}')
    console.print(f"  data in {settings.data} · logs in {settings.data}/logs · stop with Ctrl-C")
