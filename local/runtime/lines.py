"""Reading a process's output line by line, however long its lines are."""

import asyncio
from collections.abc import AsyncIterator

_READ_BYTES = 65_536


async def lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Yield each line without its end; the last one even if it has none."""
    parts: list[bytes] = []
    while data := await stream.read(_READ_BYTES):
        *whole, rest = data.split(b"\n")
        for line in whole:
            yield _text([*parts, line])
            parts = []
        parts.append(rest)
    if any(parts):
        yield _text(parts)


def _text(parts: list[bytes]) -> str:
    return b"".join(parts).decode(errors="replace")
