"""A body of bounded size, also once it is unpacked."""

import zlib
from collections.abc import Callable, Iterable

from parley.tools.guarded_http.errors import FetchFailed

_ANY_HEADER = 32 + zlib.MAX_WBITS  # gzip's or zlib's, as the body begins


def read_body(chunks: Iterable[bytes], *, encoding: str, max_bytes: int) -> bytes:
    """Return the whole body, unpacked if `encoding` is gzip or deflate.

    Raises FetchFailed for one above `max_bytes`, as soon as that is known: no more than that is ever held.
    """
    unpack = _unpacker(encoding)
    body = bytearray()
    for chunk in chunks:
        body += unpack(chunk, max_bytes + 1 - len(body))
        if len(body) > max_bytes:
            raise FetchFailed(f"The answer is larger than {max_bytes / 1_000_000:g} MB.")
    return bytes(body)


class _Packed:
    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_ANY_HEADER)

    def __call__(self, chunk: bytes, room: int) -> bytes:
        try:
            return self._inflate.decompress(chunk, room)
        except zlib.error as exc:
            raise FetchFailed("The answer is not packed as it says.") from exc


def _plain(chunk: bytes, room: int) -> bytes:
    return chunk[:room]


def _unpacker(encoding: str) -> Callable[[bytes, int], bytes]:
    match encoding.strip().lower():
        case "" | "identity":
            return _plain
        case "gzip" | "x-gzip" | "deflate":
            return _Packed()
    raise FetchFailed("The answer is packed in a way that cannot be read.", evidence=repr(encoding))
