"""A minimal streaming handler for the wire format of Lambda's response streaming."""

import base64
import http.client
import json
import os
import time
from pathlib import Path

from awslambdaric.lambda_runtime_client import LambdaRuntimeClient

PRELUDE = b'{"statusCode": 201, "headers": {"Content-Type": "text/plain", "X-Kind": "stream"}, "cookies": ["a=1", "b=2"]}'


def handler(event, context):
    query = event.get("queryStringParameters") or {}
    kind = event.get("pathParameters", event)["kind"]
    if kind == "plain":
        return {"statusCode": 200, "body": "in one piece"}
    if kind == "early":
        raise ValueError("failed before the stream")
    return Chunks(_chunks(kind, query))


class Chunks:
    """A result to stream."""

    def __init__(self, chunks):
        self.chunks = chunks


def _chunks(kind, query):
    if kind == "unmarked":
        yield b"x" * 20_000
        return
    yield PRELUDE[:20]
    yield PRELUDE[20:] + bytes(8) + b"first "
    if kind == "gated":
        _wait_for(Path(query["gate"]))
    if kind == "late":
        raise ValueError("failed in the stream")
    if kind == "exit":
        os._exit(4)
    if kind == "long":
        for _ in range(20):
            time.sleep(0.05)
            yield b"." * 10_000
        Path(query["mark"]).write_text(str(os.getpid()))
    yield f"last {os.getpid()}".encode()


def _wait_for(path):
    while not path.exists():
        time.sleep(0.01)


class _Marshaller:
    def __init__(self, inner):
        self._inner = inner

    def unmarshal_request(self, request, content_type="application/json"):
        return self._inner.unmarshal_request(request, content_type)

    def marshal_response(self, response):
        if isinstance(response, Chunks):
            return response, "application/vnd.awslambda.http-integration-response"
        return self._inner.marshal_response(response)


_post = LambdaRuntimeClient.post_invocation_result


def _post_result(self, invoke_id, result_data, content_type="application/json", invocation_id=None):
    if not isinstance(result_data, Chunks):
        return _post(self, invoke_id, result_data, content_type, invocation_id)
    _stream(self.lambda_runtime_address, invoke_id, result_data, content_type)
    return None


def _stream(address, invoke_id, result_data, content_type):
    connection = http.client.HTTPConnection(address)
    connection.putrequest("POST", f"/2018-06-01/runtime/invocation/{invoke_id}/response")
    connection.putheader("Content-Type", content_type)
    connection.putheader("Lambda-Runtime-Function-Response-Mode", "streaming")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.putheader("Trailer", "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body")
    connection.endheaders()
    trailers = b""
    try:
        for chunk in result_data.chunks:
            connection.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
    except ValueError as error:
        body = base64.b64encode(json.dumps({"errorType": "ValueError", "errorMessage": str(error)}).encode())
        trailers = b"Lambda-Runtime-Function-Error-Type: ValueError\r\nLambda-Runtime-Function-Error-Body: " + body + b"\r\n"
    connection.send(b"0\r\n" + trailers + b"\r\n")
    connection.getresponse().read()
    connection.close()


LambdaRuntimeClient.marshaller = _Marshaller(LambdaRuntimeClient.marshaller)
LambdaRuntimeClient.post_invocation_result = _post_result
