"""The edit loop: what is saved runs at once, and requests that run already end on what they began with."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from importlib.util import cache_from_source
from pathlib import Path

from watchfiles import Change, awatch

from local.console import Console
from local.emulator import Emulator
from local.logs import short_name
from local.services.supervisor import ServiceFailed
from local.template.errors import TemplateInvalid
from local.template.stack import Function, Stack

_SUFFIXES = {".py", ".toml"}
# Editors save in several steps: what comes within this time belongs together.
_STEP_MS = 50
_FILES_NAMED = 3


class Watcher:
    """Restarts the functions whose files change, and takes up a changed template; a broken one is reported and left out."""

    def __init__(self, emulator: Emulator, *, template: Path, load: Callable[[], Stack], console: Console) -> None:
        self._emulator = emulator
        self._template = template.resolve()
        self._load = load
        self._console = console
        self._folders_changed = asyncio.Event()
        self._reports: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            async with asyncio.TaskGroup() as watching:
                watching.create_task(self._watch_template())
                watching.create_task(self._watch_code())
        except* OSError as errors:
            self._console.say(f"changes are no longer noticed: {errors.exceptions[0]}", "red")

    async def _watch_template(self) -> None:
        # Its folder, as editors put a new file in the place of the old one.
        async for _ in _changes([self._template.parent], lambda path: path == self._template, is_deep=False):
            await self._reload_template()

    async def _watch_code(self) -> None:
        while True:
            self._folders_changed.clear()
            async for paths in _changes(self._folders(), self._is_code, stop=self._folders_changed):
                self._reload_code(paths)

    def _folders(self) -> set[Path]:
        functions = self._emulator.stack.functions.values()
        return {folder for function in functions for folder in _folders_of(function) if folder.is_dir()}

    def _is_code(self, path: Path) -> bool:
        """Say whether a path is source of the stack, and not an editor's, an environment's or a cache's file."""
        below = [path.relative_to(folder) for folder in self._folders() if path.is_relative_to(folder)]
        return path.suffix in _SUFFIXES and any(not any(_is_hidden(part) for part in one.parts) for one in below)

    def _reload_code(self, paths: set[Path]) -> None:
        began = time.monotonic()
        for path in paths:
            # Python tells versions of a module by whole seconds and sizes, and editors save twice in a second.
            Path(cache_from_source(str(path))).unlink(missing_ok=True)
        functions = self._emulator.stack.functions
        touched = [name for name, one in functions.items() if any(path.is_relative_to(at) for path in paths for at in _folders_of(one))]
        self._emulator.fleet.replace(touched)
        names = ", ".join(sorted(map(short_name, touched))) if len(touched) <= _FILES_NAMED else f"{len(touched)} functions"
        self._report(touched, f"{names} ({_listed(paths)})", began)

    async def _reload_template(self) -> None:
        began = time.monotonic()
        name = self._template.name
        try:
            stack = await asyncio.to_thread(self._load)
            await self._emulator.prepare(stack)
        except (TemplateInvalid, ServiceFailed) as error:
            self._console.say(f"{error}\n{name} is not taken up: the one before stays", "red")
            return
        except Exception as error:  # A template in the middle of an edit can be anything, and the translator trips over some of it.
            self._console.say(f"{name} cannot be read ({type(error).__name__}: {error}): the one before stays", "red")
            return
        before = self._folders()
        changed = self._emulator.swap(stack)
        if self._folders() != before:
            self._folders_changed.set()
        self._report(changed, f"{name} ({len(stack.functions)} functions, {len(stack.api.routes)} routes)", began)

    def _report(self, functions: list[str], what: str, began: float) -> None:
        """Start the functions' workers, which tells at once what cannot be imported, and say when they are ready."""
        task = asyncio.create_task(self._start(functions, what, began))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _start(self, functions: list[str], what: str, began: float) -> None:
        fleet = self._emulator.fleet
        await fleet.warm(functions)
        ready = await asyncio.gather(*(fleet.pools[name].ready() for name in functions if name in fleet.pools))
        if all(ready):
            self._console.say(f"reloaded {what} in {time.monotonic() - began:.1f} s", "green")


async def _changes(
    folders: Iterable[Path], is_wanted: Callable[[Path], bool], *, is_deep: bool = True, stop: asyncio.Event | None = None
) -> AsyncIterator[set[Path]]:
    """Yield the wanted files that were changed, together those of one save, until `stop` is set."""

    def wants(_: Change, path: str) -> bool:
        return is_wanted(Path(path))

    found = awatch(*folders, watch_filter=wants, recursive=is_deep, step=_STEP_MS, stop_event=stop)
    async with contextlib.aclosing(found):
        async for changes in found:
            yield {Path(path) for _, path in changes}


def _folders_of(function: Function) -> tuple[Path, ...]:
    return (function.folder, *function.layers)


def _is_hidden(part: str) -> bool:
    return part.startswith(".") or part in ("__pycache__", "node_modules")


def _listed(paths: set[Path]) -> str:
    names = sorted(path.name for path in paths)
    return ", ".join(names) if len(names) <= _FILES_NAMED else f"{len(names)} files"
