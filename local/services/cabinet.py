"""A folder with a file for each thing that is kept."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.folder import write_private


@dataclass(frozen=True)
class Kept:
    """A thing as it is now: `state` is equal as long as its content is, so that this is not asked for in vain."""

    state: Any
    content: Callable[[], bytes]


class Cabinet:
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

    def adopt(self, things: Mapping[str, Kept]) -> None:
        """Take it that the files hold these things: they were just read from there."""
        self._states = {name: thing.state for name, thing in things.items()}

    def keep(self, things: Mapping[str, Kept]) -> None:
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
