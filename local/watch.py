"""Reload on save: later requests use the new code or template, and running requests finish on the old version."""

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

_SUFFIXES = {".py", ".toml", ".html"}
# Editors save in several steps: changes within this time are one save.
_DEBOUNCE_MS = 50
_MAX_NAMES = 3


class Watcher:
    """Replaces the workers of functions whose files change, and reloads a changed template. An invalid template changes nothing."""

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
            self._console.print(f"cannot watch for changes any more: {errors.exceptions[0]}. Restart `parley up`.", "red")

    async def _watch_template(self) -> None:
        # Watch the folder, because editors replace the file instead of writing to it.
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
        """Return whether a path is source code of the stack, not a file of an editor, a virtual environment or a cache."""
        relative_paths = [path.relative_to(folder) for folder in self._folders() if path.is_relative_to(folder)]
        return path.suffix in _SUFFIXES and any(not any(_is_hidden(part) for part in relative.parts) for relative in relative_paths)

    def _reload_code(self, paths: set[Path]) -> None:
        began = time.monotonic()
        for path in paths:
            # Python checks cached bytecode only by the source's size and time in seconds, so it could miss a save within a second.
            Path(cache_from_source(str(path))).unlink(missing_ok=True)
        functions = self._emulator.stack.functions
        changed = [
            name
            for name, function in functions.items()
            if any(path.is_relative_to(folder) for path in paths for folder in _folders_of(function))
        ]
        self._emulator.fleet.replace(changed)
        names = ", ".join(sorted(map(short_name, changed))) if len(changed) <= _MAX_NAMES else f"{len(changed)} functions"
        self._start_workers(changed, f"{names} ({_listed(paths)})", began)

    async def _reload_template(self) -> None:
        began = time.monotonic()
        name = self._template.name
        try:
            stack = await asyncio.to_thread(self._load)
            await self._emulator.prepare(stack)
        except (TemplateInvalid, ServiceFailed) as error:
            self._console.print(f"{error}\n{name} was not reloaded; the previous version keeps running", "red")
            return
        except Exception as error:  # A half-edited template can make the translator raise any exception.
            self._console.print(f"cannot read {name} ({type(error).__name__}: {error}); the previous version keeps running", "red")
            return
        before = self._folders()
        changed = self._emulator.swap(stack)
        if self._folders() != before:
            self._folders_changed.set()
        self._start_workers(changed, f"{name} ({len(stack.functions)} functions, {len(stack.api.routes)} routes)", began)

    def _start_workers(self, functions: list[str], reloaded: str, began: float) -> None:
        """Start new workers at once, so that import errors show immediately, and report when all are ready."""
        task = asyncio.create_task(self._report_when_ready(functions, reloaded, began))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _report_when_ready(self, functions: list[str], reloaded: str, began: float) -> None:
        fleet = self._emulator.fleet
        await fleet.warm(functions)
        ready = await asyncio.gather(*(fleet.pools[name].ready() for name in functions if name in fleet.pools))
        if all(ready):
            self._console.print(f"reloaded {reloaded} in {time.monotonic() - began:.1f} s", "green")


async def _changes(
    folders: Iterable[Path], is_wanted: Callable[[Path], bool], *, is_deep: bool = True, stop: asyncio.Event | None = None
) -> AsyncIterator[set[Path]]:
    """Yield the wanted files that have changed, one set per save, until `stop` is set."""

    def wants(_: Change, path: str) -> bool:
        return is_wanted(Path(path))

    watching = awatch(*folders, watch_filter=wants, recursive=is_deep, step=_DEBOUNCE_MS, stop_event=stop)
    async with contextlib.aclosing(watching):
        async for changes in watching:
            yield {Path(path) for _, path in changes}


def _folders_of(function: Function) -> tuple[Path, ...]:
    return (function.folder, *function.layers)


def _is_hidden(part: str) -> bool:
    return part.startswith(".") or part in ("__pycache__", "node_modules")


def _listed(paths: set[Path]) -> str:
    names = sorted(path.name for path in paths)
    return ", ".join(names) if len(names) <= _MAX_NAMES else f"{len(names)} files"
