"""Requests that wait for a worker."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.template.stack import Stack
from tests.local.running_emulator import RunningEmulator, eventually


@pytest.fixture
def single(stack: Stack, tmp_path: Path) -> Iterator[RunningEmulator]:
    """A running stack with one worker for each function."""
    with RunningEmulator.started(stack, logs=tmp_path / "logs", pool_size=1) as found:
        yield found


@contextmanager
def sent(emulator: RunningEmulator, path: str) -> Iterator[None]:
    """Send a request, and close its connection at the end of the block."""
    with socket.create_connection(("127.0.0.1", int(emulator.url.rpartition(":")[2]))) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        yield


def test_a_request_whose_client_left_before_a_worker_was_free_is_not_run(single: RunningEmulator, tmp_path: Path) -> None:
    gate, mark, pool = tmp_path / "gate", tmp_path / "mark", single.emulator.fleet.pools["StreamFunction"]
    with single.client.stream("GET", "/stream/gated", params={"gate": str(gate)}) as answer:
        chunks = answer.iter_raw()
        next(chunks)
        with sent(single, f"/stream/long?mark={mark}"):
            assert eventually(lambda: pool.counts.invocations == 2)
        has_left = eventually(lambda: "client disconnected" in single.terminal.getvalue())
        gate.touch()
        assert b"".join(chunks).startswith(b"last ")

    assert single.get("/stream/ok").status_code == 201
    assert has_left
    assert not mark.exists()


def test_a_request_that_waited_until_its_time_limit_is_not_run(single: RunningEmulator, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    assert eventually(lambda: single.get("/slow", params={"seconds": 0}).status_code == 200)
    running, waiting = [single.get("/slow", params=query) for query in ({"seconds": 1.5}, {"seconds": 0, "mark": str(mark)})]

    assert (running.status_code, waiting.status_code) == (504, 504)
    assert eventually(lambda: single.get("/slow", params={"seconds": 0}).status_code == 200)
    assert not mark.exists()
