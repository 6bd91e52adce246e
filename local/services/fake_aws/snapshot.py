"""State that moto loses on exit, kept on disk: a snapshot of each service, and a folder with a file for each stored item."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from local.data_dir import write_private


class ServiceSnapshot(Protocol):
    """Keeps one AWS service's state; each service has its own."""

    def changes(self, environ: Mapping[str, Any]) -> bool:
        """Return whether the request of this WSGI environment changes what is kept."""
        ...

    def save(self) -> None:
        """Write the state; it is on disk when this returns."""
        ...

    def load(self) -> None:
        """Put the state back, if any was saved."""
        ...


@dataclass(frozen=True)
class StoredItem:
    """A thing as it is now: `state` is equal as long as its content is, so that this is not asked for in vain."""

    state: Any
    content: Callable[[], bytes]


class SnapshotFolder:
    """Writes what has changed since it was last written, and deletes what is gone; names are paths below the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._states: dict[str, Any] = {}

    def read(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the content of every file, in the order of their names."""
        for path in sorted(self._folder.rglob("*")):
            # A draft of a write that was killed begins with a dot.
            if path.is_file() and not path.name.startswith("."):
                yield path.relative_to(self._folder).as_posix(), path.read_bytes()

    def mark_saved(self, things: Mapping[str, StoredItem]) -> None:
        """Take it that the files hold these things: they were just read from there."""
        self._states = {name: thing.state for name, thing in things.items()}

    def replace_all(self, things: Mapping[str, StoredItem]) -> None:
        """Make the files hold these things and nothing else; they do when this returns."""
        for name in self._states.keys() - things.keys():
            (self._folder / name).unlink(missing_ok=True)
            del self._states[name]
        for name, thing in things.items():
            if name not in self._states or self._states[name] != thing.state:
                self._write(self._folder / name, thing.content())
                self._states[name] = thing.state

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, content)
