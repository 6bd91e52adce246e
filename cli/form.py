"""A form with a file in it, as browsers send one (RFC 7578), streamed from the disk."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, override


@dataclass(frozen=True)
class Form:
    """Fields in their order, and the file behind them in the field `file`."""

    fields: Mapping[str, str]
    file: BinaryIO
    filename: str
    content_type: str


class WatchedFile(io.FileIO):
    """A file to be sent; `tell_sent` hears how many of its bytes have been read."""

    def __init__(self, path: Path, *, tell_sent: Callable[[int], None]) -> None:
        super().__init__(path)
        self._tell_sent = tell_sent

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next piece."""
        piece = super().read(-1 if size is None else size)
        self._tell_sent(self.tell())
        return piece
