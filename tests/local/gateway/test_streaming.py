"""Streamed responses over HTTP."""

from pathlib import Path

import httpx2
import pytest

from tests.local.running_emulator import RunningEmulator, eventually


def test_the_first_chunk_arrives_before_the_handler_has_finished(running: RunningEmulator, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with running.client.stream("GET", "/stream/gated", params={"gate": str(gate)}) as answer:
        chunks = answer.iter_raw()
        first = next(chunks)
        gate.touch()
        rest = b"".join(chunks)

    assert first == b"first "
    assert rest.startswith(b"last ")


def test_the_prelude_sets_status_headers_and_cookies(running: RunningEmulator) -> None:
    answer = running.get("/stream/ok")

    assert (answer.status_code, answer.headers["x-kind"]) == (201, "stream")
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_a_worker_streams_again(running: RunningEmulator) -> None:
    assert running.get("/stream/ok").text == running.get("/stream/ok").text


@pytest.mark.parametrize("path", ["/stream/plain", "/buffered/ok", "/stream/early", "/stream/unmarked"])
def test_a_stream_that_does_not_fit_its_route_is_502(running: RunningEmulator, path: str) -> None:
    assert running.get(path).status_code == 502


def test_a_whole_answer_on_a_whole_route_is_served(running: RunningEmulator) -> None:
    assert running.get("/buffered/plain").text == "in one piece"


@pytest.mark.parametrize(("kind", "reason"), [("late", "ValueError: failed in the stream"), ("exit", "exit status 4")])
def test_a_failure_in_the_stream_breaks_the_connection(running: RunningEmulator, kind: str, reason: str) -> None:
    with pytest.raises(httpx2.RemoteProtocolError), running.client.stream("GET", f"/stream/{kind}") as answer:
        assert b"first " in b"".join(answer.iter_raw())

    assert eventually(lambda: reason in running.terminal.getvalue())
    assert running.get("/stream/ok").status_code == 201


def test_a_client_that_leaves_does_not_stop_the_worker(running: RunningEmulator, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with running.client.stream("GET", "/stream/long", params={"mark": str(mark)}) as answer:
        next(answer.iter_raw())

    assert eventually(mark.exists)
    assert eventually(lambda: "client disconnected" in running.terminal.getvalue())
    assert running.get("/stream/ok").text == f"first last {mark.read_text()}"


def test_invoked_without_streaming_all_chunks_come_in_one_piece(running: RunningEmulator) -> None:
    answer = running.invoke("StreamFunction", {"kind": "ok"})
    head, _, body = answer.content.partition(bytes(8))

    assert head.startswith(b'{"statusCode": 201')
    assert body.startswith(b"first last ")
    assert answer.headers["content-type"] == "application/vnd.awslambda.http-integration-response"
