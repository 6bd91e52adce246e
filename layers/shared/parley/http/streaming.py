"""The Lambda entry point of functions that stream their responses.

AWS's Python runtime posts one buffered result and cannot stream. `enable_runtime_streaming` patches the runtime's client
(`awslambdaric`): a handler may then return a generator of bytes, and the client posts each chunk to the Runtime API as soon as
the generator yields it. Wire format: aws-lambda-rust-runtime, `lambda-runtime/src/requests.rs`. The rest of the runtime is
unchanged.

An app may work on after its last body message, for example to queue jobs: the client has the whole response by then, and Lambda
freezes the worker only when the runtime asks for the next invocation
(https://aws.amazon.com/blogs/compute/running-code-after-returning-a-response-from-an-aws-lambda-function/).

`sam local` cannot stream, so the handler returns buffered responses there.
"""

import asyncio
import base64
import http.client
import inspect
import json
import os
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from types import GeneratorType
from typing import Any

from mangum.handlers import APIGateway
from starlette.types import ASGIApp, Message

from parley.http.lambda_entry import TEXT_TYPES, buffered_handler, worker_loop
from parley.observability import logger

CONTENT_TYPE = "application/vnd.awslambda.http-integration-response"
PRELUDE_END = b"\0" * 8
# Ends the response; the generator goes on afterwards. All other chunks have content.
RESPONSE_END = b""
ERROR_TYPE, ERROR_BODY = "Lambda-Runtime-Function-Error-Type", "Lambda-Runtime-Function-Error-Body"
_CONFIG = {"api_gateway_base_path": "/", "text_mime_types": TEXT_TYPES, "exclude_headers": []}


class RuntimeChanged(RuntimeError):
    """The installed AWS runtime client is not the version that this module can patch."""


def streaming_handler(
    app: ASGIApp, *, on_invoke: Callable[[dict[str, Any], Any], Any] | None = None
) -> Callable[[dict[str, Any], Any], Any]:
    """Return a Lambda handler that streams every response of `app`, including errors.

    An event that is not a request of API Gateway is passed to `on_invoke`, if given: another function of the stack has sent it.
    """
    if os.environ.get("AWS_SAM_LOCAL"):
        respond: Callable[[dict[str, Any], Any], Any] = buffered_handler(app)
    else:
        enable_runtime_streaming()

        def respond(event: dict[str, Any], context: Any) -> Generator[bytes]:
            return _stream(app, event, context, worker_loop())

    def handler(event: dict[str, Any], context: Any) -> Any:
        if on_invoke and "requestContext" not in event:
            return on_invoke(event, context)
        return respond(event, context)

    return handler


def _stream(app: ASGIApp, event: dict[str, Any], context: Any, loop: asyncio.AbstractEventLoop) -> Generator[bytes]:
    """Run the app on `loop` and yield the prelude, each body chunk as soon as the app sends it, and `RESPONSE_END`."""
    gateway = APIGateway(event, context, _CONFIG)  # type: ignore[arg-type]
    requests: asyncio.Queue[Message] = asyncio.Queue()
    requests.put_nowait({"type": "http.request", "body": gateway.body, "more_body": False})
    responses: asyncio.Queue[Message | None] = asyncio.Queue()
    posted = asyncio.Semaphore(0)

    async def send(message: Message) -> None:
        responses.put_nowait(message)
        await posted.acquire()  # otherwise an app that never awaits would produce its whole response before the first post

    task: asyncio.Task[None] = loop.create_task(app(gateway.scope, requests.get, send))  # type: ignore[arg-type]
    task.add_done_callback(lambda _: responses.put_nowait(None))
    try:
        while (message := loop.run_until_complete(responses.get())) is not None:
            if message["type"] == "http.response.start":
                yield _prelude(message)
            else:
                if message.get("body"):
                    yield message["body"]
                if not message.get("more_body", False):
                    yield RESPONSE_END
            posted.release()
        task.result()
    finally:
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))


def _prelude(start: Message) -> bytes:
    headers: dict[str, list[str]] = {}
    for name, value in start["headers"]:
        headers.setdefault(name.decode(), []).append(value.decode())
    single = {name: values[0] for name, values in headers.items() if len(values) == 1}
    multiple = {name: values for name, values in headers.items() if len(values) > 1}
    prelude = {"statusCode": start["status"], "headers": single, "multiValueHeaders": multiple}
    return json.dumps(prelude).encode() + PRELUDE_END


def enable_runtime_streaming() -> None:
    """Patch the runtime's client: it posts generators chunk by chunk, and parses events with Python's own JSON.

    Raises RuntimeChanged for an unknown client. Repeated calls have no effect.
    """
    from awslambdaric import lambda_runtime_client

    # Version 3 has one client; in version 4 it is a subclass.
    Client = getattr(lambda_runtime_client, "BaseLambdaRuntimeClient", lambda_runtime_client.LambdaRuntimeClient)  # noqa: N806
    if getattr(Client, "streams_generators", False):
        return
    _check_client(Client)
    post_buffered = Client.post_invocation_result
    marshal_buffered, unmarshal_by_simplejson = Client.marshaller.marshal_response, Client.marshaller.unmarshal_request

    def marshal_response(response: Any) -> tuple[Any, str]:
        return (response, CONTENT_TYPE) if isinstance(response, GeneratorType) else marshal_buffered(response)

    def unmarshal_request(request: Any, content_type: str = "application/json") -> Any:
        # AWS's client parses with simplejson, which takes five times as long for a large body with many quotes.
        if content_type == "application/json":
            with suppress(ValueError, RecursionError):
                return json.loads(request)
        return unmarshal_by_simplejson(request, content_type)  # raises the client's own error

    def post_invocation_result(client: Any, invoke_id: str, result_data: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(result_data, GeneratorType):
            return _post_stream(client.lambda_runtime_address, invoke_id, result_data)
        return post_buffered(client, invoke_id, result_data, *args, **kwargs)

    Client.marshaller.marshal_response, Client.marshaller.unmarshal_request = marshal_response, unmarshal_request
    Client.post_invocation_result = post_invocation_result
    Client.streams_generators = True


def _check_client(client: Any) -> None:
    known = ["self", "invoke_id", "result_data", "content_type"]
    post = getattr(client, "post_invocation_result", None)
    marshaller = getattr(client, "marshaller", None)
    has_marshaller = hasattr(marshaller, "marshal_response") and hasattr(marshaller, "unmarshal_request")
    if post is None or not has_marshaller or list(inspect.signature(post).parameters)[:4] != known:
        raise RuntimeChanged(
            "post_invocation_result or the marshaller of this awslambdaric version differs from the one parley/http/streaming.py "
            "patches. Pin the runtime, or stream through the Lambda Web Adapter (docs/deploy.md)."
        )


def _post_stream(address: str, invoke_id: str, chunks: Generator[bytes]) -> None:
    connection = http.client.HTTPConnection(address)
    connection.putrequest("POST", f"/2018-06-01/runtime/invocation/{invoke_id}/response")
    connection.putheader("Content-Type", CONTENT_TYPE)
    connection.putheader("Lambda-Runtime-Function-Response-Mode", "streaming")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.putheader("Trailer", f"{ERROR_TYPE}, {ERROR_BODY}")
    connection.endheaders()
    with closing(chunks):
        try:
            connection.send(b"0\r\n" + _send_chunks(chunks, connection.send) + b"\r\n")
            connection.getresponse().read()
        finally:
            connection.close()
        _finish(chunks)


def _send_chunks(chunks: Generator[bytes], send: Callable[[bytes], None]) -> bytes:
    """Send each chunk up to the end of the response as one HTTP chunk.

    Return the trailers: the error if the handler failed midway, else nothing.
    """
    try:
        for chunk in chunks:
            if chunk == RESPONSE_END:
                break
            send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
    except Exception as exc:
        chunks.close()
        logger.exception("response_stream_failed")
        body = json.dumps({"errorType": type(exc).__name__, "errorMessage": "the stream was interrupted"})
        trailers = {ERROR_TYPE: type(exc).__name__, ERROR_BODY: base64.b64encode(body.encode()).decode()}
        return "".join(f"{name}: {value}\r\n" for name, value in trailers.items()).encode()
    return b""


def _finish(chunks: Generator[bytes]) -> None:
    """Run the app's work after its response. An error is only logged, because the client has its response."""
    try:
        next(chunks, None)
    except Exception:
        logger.exception("response_stream_failed")
