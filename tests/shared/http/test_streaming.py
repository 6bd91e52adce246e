"""The streaming Lambda entry point, driven by AWS's own runtime client against a fake Runtime API."""

import asyncio
import base64
import json
import socketserver
import threading
from types import SimpleNamespace

import pytest
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
from awslambdaric.lambda_runtime_exception import FaultException
from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from parley.http import streaming
from parley.http.app import create_app
from parley.http.streaming import CONTENT_TYPE, RuntimeChanged, enable_runtime_streaming, streaming_handler
from parley.settings import HttpSettings
from tests.support.api_gateway import rest_event

EVENT = rest_event("GET", "/", None, as_=None, headers={})


class RuntimeApi(socketserver.ThreadingTCPServer):
    """A fake Runtime API that records a posted response: head, chunks and trailers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), self.Connection)
        self.head: list[str] = []
        self.chunks: list[bytes] = []
        self.trailers: dict[str, str] = {}
        self.got_chunk = threading.Semaphore(0)
        self.is_complete = threading.Event()

    class Connection(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            api = self.server
            while line := self.rfile.readline().strip().decode():
                api.head.append(line)
            while size := int(self.rfile.readline(), 16):
                api.chunks.append(self.rfile.read(size))
                self.rfile.readline()
                api.got_chunk.release()
            while line := self.rfile.readline().strip().decode():
                name, value = line.split(": ")
                api.trailers[name] = value
            api.is_complete.set()
            self.wfile.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def api():
    with RuntimeApi() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def post(api, app):
    """Handle one event with `app` and post the result, as the runtime's loop does."""
    answer = streaming_handler(app)(EVENT, None)
    client = LambdaRuntimeClient(f"127.0.0.1:{api.server_address[1]}")
    result, kind = client.marshaller.marshal_response(answer)
    client.post_invocation_result("request-1", result, kind)


def app_of(response):
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await response(scope, receive, send)

    return app


def test_a_response_is_posted_as_a_stream(api):
    post(api, app_of(Response("hello", headers={"x-a": "b"})))

    assert api.head[0] == "POST /2018-06-01/runtime/invocation/request-1/response HTTP/1.1"
    assert {"Lambda-Runtime-Function-Response-Mode: streaming", "Transfer-Encoding: chunked", f"Content-Type: {CONTENT_TYPE}"} <= set(
        api.head
    )


def test_the_prelude_comes_first_and_ends_with_eight_nuls(api):
    post(api, app_of(Response("hello", status_code=201, headers={"x-a": "b"})))
    prelude, _, rest = b"".join(api.chunks).partition(b"\0" * 8)

    assert rest == b"hello"
    assert json.loads(prelude)["statusCode"] == 201
    assert json.loads(prelude)["headers"]["x-a"] == "b"


def test_repeated_headers_all_arrive(api):
    response = Response("")
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    post(api, app_of(response))
    prelude = json.loads(api.chunks[0].rstrip(b"\0"))

    assert {name: len(values) for name, values in prelude["multiValueHeaders"].items()} == {"set-cookie": 2}
    assert "set-cookie" not in prelude["headers"]


def test_each_chunk_is_posted_before_the_next_is_produced(api):
    def slowly():
        for text in ("one", "two"):
            yield text
            assert [api.got_chunk.acquire(timeout=5) for _ in range(2 if text == "one" else 1)]

    post(api, app_of(StreamingResponse(slowly())))

    assert api.chunks[1:] == [b"one", b"two"]


def test_a_chunk_is_posted_immediately_even_by_an_app_that_never_awaits(api):
    async def blocking():
        yield "one"
        assert [api.got_chunk.acquire(timeout=5) for _ in range(2)] == [True, True]
        yield "two"

    post(api, app_of(StreamingResponse(blocking())))

    assert api.chunks[1:] == [b"one", b"two"]


def test_a_failure_midway_is_reported_in_the_trailers(api):
    def failing():
        yield "one"
        raise ZeroDivisionError("with a secret")

    post(api, app_of(StreamingResponse(failing())))
    error = json.loads(base64.b64decode(api.trailers["Lambda-Runtime-Function-Error-Body"]))

    assert api.chunks[-1] == b"one"
    assert api.trailers["Lambda-Runtime-Function-Error-Type"] == "ZeroDivisionError"
    assert "secret" not in error["errorMessage"]


def test_a_failure_midway_in_a_complete_app_is_reported_in_the_trailers(api):
    router = APIRouter()

    @router.get("/")
    def breaks_off() -> StreamingResponse:
        return StreamingResponse(iter([b"one", 7]))

    post(api, create_app(router, settings=HttpSettings(allowed_origin="*")))

    assert api.trailers["Lambda-Runtime-Function-Error-Type"]


def test_a_complete_response_has_no_error_trailers(api):
    post(api, app_of(Response("hello")))

    assert api.trailers == {}


def test_a_worker_reuses_one_event_loop(api):
    loops = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loops.append(asyncio.get_running_loop())
        await Response("hello")(scope, receive, send)

    for _ in range(3):
        list(streaming_handler(app)(EVENT, None))

    assert len(set(map(id, loops))) == 1


def test_closing_the_stream_cancels_the_app():
    ended = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    chunks = streaming_handler(app)(EVENT, None)
    next(chunks)
    chunks.close()

    assert ended == [True]


def test_an_event_of_another_function_is_not_a_request(api):
    handler = streaming_handler(app_of(Response("hello")), on_invoke=lambda event, context: event)

    assert handler({"turn_id": "t"}, None) == {"turn_id": "t"}
    assert b"hello" in b"".join(handler(EVENT, None))


async def work_after_the_response(scope: Scope, receive: Receive, send: Send, work) -> None:
    await Response("hello")(scope, receive, send)
    work()


def test_an_app_works_on_after_its_response_has_been_posted(api):
    posted = []
    post(api, lambda scope, receive, send: work_after_the_response(scope, receive, send, lambda: posted.append(api.is_complete.wait(5))))

    assert posted == [True]
    assert api.trailers == {}


def test_a_failure_after_the_response_does_not_change_the_response(api, caplog):
    def fail():
        raise ValueError("too late")

    post(api, lambda scope, receive, send: work_after_the_response(scope, receive, send, fail))

    assert api.chunks[1:] == [b"hello"]
    assert api.trailers == {}
    assert "response_stream_failed" in caplog.text


def test_the_client_is_patched_once():
    enable_runtime_streaming()
    post_result = LambdaRuntimeClient.post_invocation_result
    enable_runtime_streaming()

    assert LambdaRuntimeClient.post_invocation_result is post_result


def test_plain_results_are_posted_unchanged(monkeypatch):
    enable_runtime_streaming()
    client = LambdaRuntimeClient("127.0.0.1:9")

    assert client.marshaller.marshal_response({"statusCode": 200}) == ('{"statusCode": 200}', "application/json")


@pytest.mark.parametrize("event", [{"body": '{"text": "a \\"quoted\\" word: \u2603 \U0001f600"}', "n": 1.5}, {}, [1, None, True], "text"])
def test_events_are_read_as_awss_client_reads_them(event):
    enable_runtime_streaming()
    marshaller = LambdaRuntimeClient("127.0.0.1:9").marshaller
    sent = [json.dumps(event).encode(), json.dumps(event, ensure_ascii=False).encode()]

    assert [marshaller.unmarshal_request(each, "application/json") for each in sent] == [event, event]
    assert [marshaller.unmarshal_request(each, "text/plain") for each in sent] == sent


def test_an_event_that_is_no_json_is_the_clients_own_error():
    enable_runtime_streaming()

    with pytest.raises(FaultException, match="Unable to unmarshal input"):
        LambdaRuntimeClient("127.0.0.1:9").marshaller.unmarshal_request(b"{", "application/json")


def test_under_sam_local_the_response_is_buffered(monkeypatch):
    monkeypatch.setenv("AWS_SAM_LOCAL", "true")

    assert streaming_handler(app_of(Response("hello", media_type="text/plain")))(EVENT, None)["body"] == "hello"


@pytest.mark.parametrize(
    "client",
    [
        SimpleNamespace(),
        SimpleNamespace(marshaller=SimpleNamespace(marshal_response=1), post_invocation_result=LambdaRuntimeClient.post_invocation_result),
        SimpleNamespace(
            marshaller=SimpleNamespace(marshal_response=1, unmarshal_request=1), post_invocation_result=lambda self, other: None
        ),
        SimpleNamespace(post_invocation_result=LambdaRuntimeClient.post_invocation_result),
    ],
)
def test_a_changed_runtime_client_is_reported_with_a_remedy(client):
    with pytest.raises(RuntimeChanged, match="Lambda Web Adapter"):
        streaming._check_client(client)


def test_a_runtime_client_with_a_further_parameter_is_known():
    marshaller = SimpleNamespace(marshal_response=1, unmarshal_request=1)

    class LaterClient(LambdaRuntimeClient):
        def __init__(self):
            self.marshaller = marshaller

        def post_invocation_result(self, invoke_id, result_data, content_type, trailer=None): ...

    streaming._check_client(LaterClient)
