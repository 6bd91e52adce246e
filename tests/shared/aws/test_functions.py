"""Calls of other functions, and Lambda's connections, which end while a worker is frozen."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from parley.aws.client import MAX_IDLE_S
from parley.aws.functions import InvocationFailed, function_client, invoke_function
from tests.shared.aws.forgetful_server import ForgetfulServer, serving_forgetfully


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForgetfulServer]:
    with serving_forgetfully(b'{"ok": true}') as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
        yield server


def test_a_call_after_a_pause_does_not_use_a_connection_that_has_ended_meanwhile(server):
    times_s = iter([0.0, 0.0, MAX_IDLE_S + 1])
    client = function_client(read_timeout_s=5, max_connections=2, now_s=lambda: next(times_s))
    invoke_function(client, "toolrunner", {"op": "list"})
    server.has_forgotten = True

    assert invoke_function(client, "toolrunner", {"op": "list"}) == {"ok": True}


def test_calls_in_quick_succession_share_a_connection(server):
    times_s = iter([0.0, 0.0, MAX_IDLE_S])
    client = function_client(read_timeout_s=5, max_connections=2, now_s=lambda: next(times_s))
    for _ in range(2):
        invoke_function(client, "toolrunner", {"op": "list"})

    assert server.connections == 1


def test_parallel_calls_after_a_pause_all_succeed(server):
    now_s = [0.0]
    client = function_client(read_timeout_s=5, max_connections=8, now_s=lambda: now_s[0])
    with ThreadPoolExecutor(8) as threads:
        for round in range(1, 4):
            results = list(threads.map(lambda _: invoke_function(client, "toolrunner", {"op": "list"}), range(8)))
            assert results == [{"ok": True}] * 8
            now_s[0] = round * 100.0


def test_a_call_whose_connection_breaks_is_not_repeated(server):
    client = function_client(read_timeout_s=5, max_connections=2, now_s=lambda: 0.0)
    invoke_function(client, "toolrunner", {"op": "list"})
    server.has_forgotten = True

    with pytest.raises(InvocationFailed) as failure:
        invoke_function(client, "toolrunner", {"op": "run"})

    assert failure.value.kind == "ConnectionClosedError"
    assert server.connections == 1
