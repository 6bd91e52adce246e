"""A bounded load generator for chat endpoints on this machine: latency and time to first token, as one JSON document.

    python -m bench.harness.load --url http://127.0.0.1:9000/v1/chat/completions --body '{"stream": true}' --seconds 2

Each client keeps one connection and sends one request at a time on it. An answer counts only if its status is 200
and it holds the last token: a turn that failed must not pass for a fast one.
"""

import argparse
import asyncio
import json
import time
import urllib.parse
from asyncio import StreamReader, StreamWriter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

FIRST, LAST = "tok0", "tok19"
_TAIL_BYTES = 4096  # an event that ends the stream may follow the last token


@dataclass(frozen=True)
class Request:
    """What is sent: each key is a client's own, and clients without one of their own share them."""

    url: str
    body: str
    keys: Sequence[str] = ()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port; SystemExit for anything but this machine."""
        parts = urllib.parse.urlsplit(self.url)
        if parts.hostname != "127.0.0.1" or parts.port is None:
            raise SystemExit(f"{self.url} is not an address on loopback")
        return parts.hostname, parts.port

    def encoded(self, client: int) -> bytes:
        """Return the bytes that the client of this number sends."""
        parts, body = urllib.parse.urlsplit(self.url), self.body.encode()
        lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Content-Type: application/json"]
        lines += [f"Authorization: Bearer {self.keys[client % len(self.keys)]}"] if self.keys else []
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


@dataclass
class LoadResult:
    """What the clients saw, in milliseconds; `requests` also counts those of the warm-up."""

    times_ms: list[float] = field(default_factory=list)
    first_token_ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    requests: int = 0
    elapsed_s: float = 0.0


@dataclass(frozen=True)
class _Answer:
    first_token_s: float | None
    is_good: bool
    head: bytes


async def measure(request: Request, *, clients: int, seconds: float, warm_up_s: float) -> LoadResult:
    """Send requests for `seconds` after a warm-up whose times are dropped."""
    warm_up = await _run_clients(request, clients, warm_up_s)
    seen = await _run_clients(request, clients, seconds)
    seen.requests += warm_up.requests
    seen.errors += warm_up.errors
    return seen


async def _run_clients(request: Request, clients: int, seconds: float) -> LoadResult:
    seen, start = LoadResult(), time.perf_counter()
    await asyncio.gather(*(_client(request, number, start + seconds, seen) for number in range(clients)))
    seen.elapsed_s = time.perf_counter() - start
    return seen


async def _client(request: Request, number: int, until: float, seen: LoadResult) -> None:
    message = request.encoded(number)
    reader, writer = await asyncio.open_connection(*request.address)
    start = time.perf_counter()
    while seen.requests == 0 or start < until:  # a busy machine may let all of the time pass before the first
        writer.write(message)
        answer = await _read(reader, start)
        _record(answer, (time.perf_counter() - start) * 1000, seen)
        if b"connection: close" in answer.head:
            writer.close()
            reader, writer = await asyncio.open_connection(*request.address)
        start = time.perf_counter()
    await _close(writer)


def _record(answer: _Answer, elapsed_ms: float, seen: LoadResult) -> None:
    seen.requests += 1
    if not answer.is_good:
        seen.errors.append(answer.head.partition(b"\r\n")[0].decode())
        return
    seen.times_ms.append(elapsed_ms)
    if answer.first_token_s is not None:
        seen.first_token_ms.append(answer.first_token_s * 1000)


async def _read(reader: StreamReader, start: float) -> _Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    has_begun = b" 200 " in head.partition(b"\r\n")[0]
    if b"transfer-encoding: chunked" in head:
        first_s, tail = await _read_chunks(reader, start)
    else:
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        first_s, tail = None, await reader.readexactly(length)
    return _Answer(first_s, has_begun and LAST.encode() in tail, head)


async def _read_chunks(reader: StreamReader, start: float) -> tuple[float | None, bytes]:
    """Return when the first token came, and the end of the body."""
    first_s, seen = None, b""
    while size := int((await reader.readline()).partition(b";")[0], 16):
        seen = (seen + await reader.readexactly(size + 2))[-_TAIL_BYTES:]
        if first_s is None and FIRST.encode() in seen:
            first_s = time.perf_counter() - start
    await reader.readline()
    return first_s, seen


async def _close(writer: StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


def main() -> None:
    """Measure what the arguments say and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--body", required=True)
    parser.add_argument("--key", action="append", default=[], help="a client's access token; may be repeated")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--warm-up", type=float, default=0.5, metavar="SECONDS")
    args = parser.parse_args()
    request = Request(args.url, args.body, args.key)
    print(json.dumps(asdict(asyncio.run(measure(request, clients=args.clients, seconds=args.seconds, warm_up_s=args.warm_up)))))


if __name__ == "__main__":
    main()
