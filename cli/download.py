"""Fetching a file from a signed address, which needs no login and is another server's as a rule."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

from cli.address import origin_of
from cli.connection import Call, Connection, failures_told
from cli.errors import CliError


def fetch(url: str, file: BinaryIO, *, tell: Callable[[int], None]) -> int:
    """Write what is at `url` to `file` and return its bytes; `tell` hears how many there are so far."""
    origin, written = origin_of(url), 0
    with closing(Connection(origin)) as connection, connection.answer(Call("GET", url.removeprefix(origin))) as response:
        if response.status_code != 200:
            raise CliError(f"The file could not be fetched from {origin} (it answered {response.status_code}). Try again.")
        with failures_told(origin):
            for piece in response.iter_bytes():
                written += file.write(piece)
                tell(written)
    return written


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Make a file for this user only (mode 600) and give it; what fails on the way leaves none behind."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as exc:
        raise CliError(f"{path} exists already. Another file: -o FILE") from exc
    except OSError as exc:
        raise CliError(f"{path} cannot be written: {exc.strerror}. Another file: -o FILE") from exc
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise
