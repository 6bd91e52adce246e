import asyncio
from contextlib import suppress

import pytest

from bench.harness.fake_model import FakeModel
from bench.harness.load import LoadResult, Request, measure
from bench.harness.servers import free_port

STREAMED = '{"stream": true}'
MODEL = FakeModel()


async def load_on(answer: bytes) -> LoadResult:
    """Run the load generator on a server with a fixed response."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n{}"):
                writer.write(answer)
        writer.close()

    port = free_port()
    async with await asyncio.start_server(serve, "127.0.0.1", port):
        return await measure(Request(f"http://127.0.0.1:{port}/", "{}"), clients=2, seconds=0.02, warm_up_s=0.01)


def whole(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def chunked(*chunks: bytes) -> bytes:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed


@pytest.mark.parametrize("answer", [whole(MODEL.whole), chunked(*MODEL.chunks)], ids=["whole", "streamed"])
def test_good_answers_are_timed(answer):
    seen = asyncio.run(load_on(answer))

    assert seen.times_ms
    assert not seen.errors
    assert seen.requests > len(seen.times_ms)


def test_only_a_stream_has_a_first_token():
    assert asyncio.run(load_on(chunked(*MODEL.chunks))).first_token_ms
    assert not asyncio.run(load_on(whole(MODEL.whole))).first_token_ms


@pytest.mark.parametrize("answer", [whole(MODEL.whole, b"503 Busy"), whole(b"{}"), chunked(b" tok0", b"turn.failed")])
def test_a_refusal_or_an_answer_without_its_end_is_an_error_and_no_time(answer):
    seen = asyncio.run(load_on(answer))

    assert seen.errors
    assert not seen.times_ms


def test_an_error_shows_the_end_of_the_response():
    seen = asyncio.run(load_on(whole(b'{"code": "server_error"}', b"500 Broken")))

    assert seen.errors[0] == 'http/1.1 500 broken: {"code": "server_error"}'


def test_each_client_sends_its_own_key():
    request = Request("http://127.0.0.1:1/chat", STREAMED, ["ada", "bob"])

    assert b"Authorization: Bearer bob\r\n" in request.encoded(3)


def test_further_lines_are_part_of_the_head():
    request = Request("http://127.0.0.1:1/chat", STREAMED, headers=["x-portkey-provider: openai"])

    assert b"x-portkey-provider: openai\r\n" in request.encoded(0).partition(b"\r\n\r\n")[0] + b"\r\n"


def test_only_this_machine_is_loaded():
    with pytest.raises(SystemExit, match="loopback"):
        _ = Request("http://example.com:80/", "{}").address
