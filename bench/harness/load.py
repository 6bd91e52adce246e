"""A load generator for chat endpoints on this machine; prints latency and time to first token as one JSON document.

    python -m bench.harness.load --url http://127.0.0.1:9000/v1/chat/completions --body '{"stream": true}' --seconds 2

Each client has one connection and sends one request at a time. A response counts as good only if its status is 200 and it
contains the last token, so that a failed turn does not count as a fast turn.
"""

import argparse
import asyncio
import json
import time
import urllib.parse
from asyncio import StreamReader, StreamWriter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

FIRST = "tok0"
LAST = "tok19"
_TAIL_BYTES = 4096  # a final event may follow the last token
_SHOWN_BYTES = 400  # of the body of a failed request


@dataclass(frozen=True)
class Request:
    """The request to send. `keys` are access tokens, assigned to the clients in turn; `headers` are further lines, `Name: value`."""

    url: str
    body: str
    keys: Sequence[str] = ()
    headers: Sequence[str] = ()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port. Raises SystemExit unless the host is 127.0.0.1."""
        parts = urllib.parse.urlsplit(self.url)
        if parts.hostname != "127.0.0.1" or parts.port is None:
            raise SystemExit(f"{self.url} is not an address on loopback")
        return parts.hostname, parts.port

    def encoded(self, client: int) -> bytes:
        """Return the request as bytes, as the client with this number sends it."""
        parts = urllib.parse.urlsplit(self.url)
        body = self.body.encode()
        lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Content-Type: application/json", *self.headers]
        lines += [f"Authorization: Bearer {self.keys[client % len(self.keys)]}"] if self.keys else []
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


@dataclass
class LoadResult:
    """The clients' measurements in milliseconds; `requests` and `errors` include the warm-up."""

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
    tail: bytes


async def measure(request: Request, *, clients: int, seconds: float, warm_up_s: float) -> LoadResult:
    """Send requests for `seconds`, after a warm-up whose times are discarded; a warm-up of 0 seconds sends nothing."""
    warm_up = await _run_clients(request, clients, warm_up_s) if warm_up_s else LoadResult()
    result = await _run_clients(request, clients, seconds)
    result.requests += warm_up.requests
    result.errors += warm_up.errors
    return result


async def _run_clients(request: Request, clients: int, seconds: float) -> LoadResult:
    result = LoadResult()
    start = time.perf_counter()
    await asyncio.gather(*(_client(request, number, start + seconds, result) for number in range(clients)))
    result.elapsed_s = time.perf_counter() - start
    return result


async def _client(request: Request, number: int, until: float, result: LoadResult) -> None:
    message = request.encoded(number)
    reader, writer = await asyncio.open_connection(*request.address)
    start = time.perf_counter()
    while result.requests == 0 or start < until:  # at least one request, however slow the machine
        writer.write(message)
        answer = await _read(reader, start)
        _record(answer, (time.perf_counter() - start) * 1000, result)
        if b"connection: close" in answer.head:
            writer.close()
            reader, writer = await asyncio.open_connection(*request.address)
        start = time.perf_counter()
    await _close(writer)


def _record(answer: _Answer, elapsed_ms: float, result: LoadResult) -> None:
    result.requests += 1
    if not answer.is_good:
        result.errors.append(f"{answer.head.partition(b'\r\n')[0].decode()}: {answer.tail[-_SHOWN_BYTES:].decode(errors='replace')}")
        return
    result.times_ms.append(elapsed_ms)
    if answer.first_token_s is not None:
        result.first_token_ms.append(answer.first_token_s * 1000)


async def _read(reader: StreamReader, start: float) -> _Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    is_ok = b" 200 " in head.partition(b"\r\n")[0]
    if b"transfer-encoding: chunked" in head:
        first_s, tail = await _read_chunks(reader, start)
    else:
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        first_s = None
        tail = await reader.readexactly(length)
    return _Answer(first_s, is_ok and LAST.encode() in tail, head, tail)


async def _read_chunks(reader: StreamReader, start: float) -> tuple[float | None, bytes]:
    """Return the seconds from `start` to the first token, and the end of the body."""
    first_s = None
    tail = b""
    while size := int((await reader.readline()).partition(b";")[0], 16):
        tail = (tail + await reader.readexactly(size + 2))[-_TAIL_BYTES:]
        if first_s is None and FIRST.encode() in tail:
            first_s = time.perf_counter() - start
    await reader.readline()
    return first_s, tail


async def _close(writer: StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


def main() -> None:
    """Measure with the given arguments and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--body", required=True)
    parser.add_argument("--key", action="append", default=[], help="an access token; repeat for several users")
    parser.add_argument("--header", action="append", default=[], help="a further line of the request's head; repeat")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--warm-up", type=float, default=0.5, metavar="SECONDS")
    args = parser.parse_args()
    request = Request(args.url, args.body, args.key, args.header)
    print(json.dumps(asdict(asyncio.run(measure(request, clients=args.clients, seconds=args.seconds, warm_up_s=args.warm_up)))))


if __name__ == "__main__":
    main()
