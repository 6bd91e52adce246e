"""The Python stand-in for AWS's native runtime client behaves like the native module."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local.runtime import standin
from local.runtime.launch import launch_from_sources
from local.template.stack import Stack
from tests.local.running_emulator import RunningEmulator, eventually
from tests.local.test_up import started
from tests.support.time_limits import HANG_S

ROOT = Path(__file__).parents[3]
FOLDER = str(Path(standin.__file__).parent)
CALLS = """
import json, runtime_client as client
def tried(call, *arguments):
    try:
        return call(*arguments)
    except RuntimeError as error:
        return f"RuntimeError: {error}"
client.initialize_client("agent/1")
event, headers = client.next()
results = [
    [event.decode(), sorted(headers.items())],
    client.post_invocation_result("one", b"result", "text/plain", headers["Lambda-Runtime-Invocation-Id"]),
    client.post_invocation_result("one", b"", "text/plain", None),
    client.post_error("two", '{"errorMessage": "h\\u00e9 \\u4e16"}', '{"cause": "\\u4e16"}', "of"),
    client.post_error("two", "{}", "", None),
    tried(client.post_invocation_result, "refused", b"x", "text/plain", None),
    tried(client.post_error, "refused", "{}", "", None),
]
print(json.dumps(results))
"""


class Recorder(BaseHTTPRequestHandler):
    """A Runtime API that records all requests and refuses those for the invocation `refused`."""

    protocol_version = "HTTP/1.1"
    requests: list[Any]
    connections: set[Any]
    sent: dict[str, str]

    def do_GET(self) -> None:
        self._note(b"")
        self._answer(200, b'{"a": 1}', self.sent)

    def do_POST(self) -> None:
        self._note(self.rfile.read(int(self.headers["content-length"])))
        self._answer(400 if "refused" in self.path else 202, b"{}", {})

    def _note(self, body: bytes) -> None:
        named = {name.lower(): value for name, value in self.headers.items()}
        headers = sorted((name, value) for name, value in named.items() if name not in ("host", "accept", "accept-encoding"))
        self.requests.append((self.command, self.path, headers, body))
        self.connections.add(self.client_address)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


def exercise(path: str, sent: dict[str, str]) -> tuple[Any, list[Any], int]:
    """Make every call with the client found on `path`; return the results, the requests and the number of connections."""
    recorder = type("Recorded", (Recorder,), {"requests": [], "connections": set(), "sent": sent})
    with ThreadingHTTPServer(("127.0.0.1", 0), recorder) as server:
        threading.Thread(target=server.serve_forever).start()
        variables = os.environ | {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}", "PYTHONPATH": path}
        done = subprocess.run([sys.executable, "-c", CALLS], env=variables, capture_output=True, text=True, timeout=HANG_S, check=False)
        server.shutdown()
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), recorder.requests, len(recorder.connections)


ALWAYS = {
    "Lambda-Runtime-Aws-Request-Id": "one",
    "Lambda-Runtime-Deadline-Ms": "1790000000000",
    "Lambda-Runtime-Invoked-Function-Arn": "arn:of:one",
    "Lambda-Runtime-Trace-Id": "Root=1",
    "Content-Type": "application/json",
}
SOMETIMES = {
    "Lambda-Runtime-Client-Context": '{"client": 1}',
    "Lambda-Runtime-Cognito-Identity": "{}",
    "Lambda-Runtime-Aws-Tenant-Id": "tenant",
    "Lambda-Runtime-Invocation-Id": "of",
}


@pytest.mark.skipif(find_spec("runtime_client") is None, reason="the native client is built on Linux only")
@pytest.mark.parametrize("sent", [ALWAYS, ALWAYS | SOMETIMES])
def test_it_returns_sends_and_raises_what_the_native_client_does(sent: dict[str, str]) -> None:
    native, native_requests, _ = exercise("", sent)
    found, requests, connections = exercise(FOLDER, sent)

    assert found == native
    assert requests == native_requests
    assert connections == 1


@pytest.fixture(scope="module")
def workers(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    """The test stack on workers with the Python client."""
    with RunningEmulator.started(
        stack, logs=tmp_path_factory.mktemp("logs"), launch_spec_of=partial(launch_from_sources, wants_stand_in=True)
    ) as found:
        yield found


def test_a_function_answers(workers: RunningEmulator) -> None:
    seen = workers.invoke("EchoFunction", {"text": "世界"}).json()

    assert seen["event"] == {"text": "世界"}
    assert seen["environment"]["PYTHONPATH"] == FOLDER
    assert 15_000 < seen["left_ms"] <= 20_000


def test_one_worker_serves_one_call_after_the_other(workers: RunningEmulator) -> None:
    assert len({workers.invoke("EchoFunction", {}).json()["pid"] for _ in range(5)}) == 1


def test_an_exception_is_reported_and_the_worker_goes_on(workers: RunningEmulator) -> None:
    before = workers.get("/fault/none").text
    answer = workers.invoke("FaultFunction", {"kind": "exception"})

    assert (answer.headers["x-amz-function-error"], answer.json()["errorType"]) == ("Unhandled", "ValueError")
    assert workers.get("/fault/none").text == before


def test_a_very_long_traceback_arrives_too(workers: RunningEmulator) -> None:
    assert workers.invoke("FaultFunction", {"kind": "deep"}).json()["errorType"] == "RecursionError"


def test_a_time_out_ends_the_worker_and_the_next_serves(workers: RunningEmulator) -> None:
    assert workers.get("/fault/hang").status_code == 502
    assert eventually(lambda: "Sandbox.Timedout: Task timed out after 2.00 seconds" in workers.terminal.getvalue())
    assert workers.get("/fault/none").status_code == 200


def test_an_answer_that_is_too_large_is_refused_and_the_next_serves(workers: RunningEmulator) -> None:
    assert workers.get("/fault/big").status_code == 502
    assert eventually(lambda: "Function.ResponseSizeTooLarge" in workers.terminal.getvalue())
    assert workers.get("/fault/none").status_code == 200


def test_an_answer_is_streamed_while_it_is_made(workers: RunningEmulator, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with workers.client.stream("GET", "/stream/gated", params={"gate": str(gate)}) as answer:
        chunks = answer.iter_text()
        assert next(chunks) == "first "
        gate.touch()

        assert "".join(chunks).startswith("last ")


def test_a_function_that_cannot_be_imported_is_502(workers: RunningEmulator) -> None:
    assert workers.get("/broken").status_code == 502


def test_the_product_holds_a_conversation_with_it(tmp_path: Path) -> None:
    person = {"email": "ada@example.com", "password": "correct horse battery staple"}
    with (
        started(tmp_path / "data", "--template", str(ROOT / "template.yaml"), "--stand-in") as up,
        httpx2.Client(base_url=up.url) as client,
    ):
        token = client.post("/auth/register", json=person, timeout=HANG_S).json()["access_token"]
        answer = client.post("/chat", json={"message": "Hello"}, headers={"Authorization": f"Bearer {token}"}, timeout=HANG_S)

        assert answer.status_code == 200
        assert "event: turn.completed" in answer.text
