"""Snapshots of moto's in-memory state on disk, one for each service. A large service has a folder with a file for each item."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from local.data_dir import write_private


class ServiceSnapshot(Protocol):
    """Saves and restores the state of one AWS service."""

    def changes(self, environ: Mapping[str, Any]) -> bool:
        """Return whether a WSGI request may change the saved state."""
        ...

    def save(self) -> None:
        """Write the state to disk before returning."""
        ...

    def load(self) -> None:
        """Restore the saved state, if there is any."""
        ...


@dataclass(frozen=True)
class StoredItem:
    """An item to store. `state` changes whenever the content does; `content` is called only if `state` differs from the saved state."""

    state: Any
    content: Callable[[], bytes]


class SnapshotFolder:
    """A folder with a file for each item, named by relative path; only changed items are written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._states: dict[str, Any] = {}

    def read(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the content of every file, ordered by name."""
        for path in sorted(self._folder.rglob("*")):
            # A killed write leaves a temporary file whose name begins with a dot.
            if path.is_file() and not path.name.startswith("."):
                yield path.relative_to(self._folder).as_posix(), path.read_bytes()

    def mark_saved(self, items: Mapping[str, StoredItem]) -> None:
        """Record that the files already hold these items, because they were just loaded from there."""
        self._states = {name: item.state for name, item in items.items()}

    def replace_all(self, items: Mapping[str, StoredItem]) -> None:
        """Write the changed items to disk before returning, and delete the files of items that no longer exist."""
        for name in self._states.keys() - items.keys():
            (self._folder / name).unlink(missing_ok=True)
            del self._states[name]
        for name, item in items.items():
            if name not in self._states or self._states[name] != item.state:
                self._write(self._folder / name, item.content())
                self._states[name] = item.state

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, content)
