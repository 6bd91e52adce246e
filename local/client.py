"""A client of the control API, for the command line."""

import json
from typing import Any

import httpx2

from local.gateway.integration_response import DELIMITER, PRELUDE_TYPE


class StackRequestFailed(Exception):
    """The stack is not running or refused the request. The message is for the user."""


class FunctionFailed(Exception):
    """The function returned an error; `detail` is the error object."""

    def __init__(self, detail: Any) -> None:
        super().__init__(str(detail))
        self.detail = detail


def invoke_function(port: int, function: str, event: str) -> Any:
    """Invoke a function and return its result. For a streamed response, the result is its prelude with the body as `body`.

    Raises `FunctionFailed` if the function returned an error, and `StackRequestFailed` if it could not be invoked.
    """
    answer = _call("POST", port, f"/_local/lambda/2015-03-31/functions/{function}/invocations", content=event.encode())
    if answer.status_code != 200:
        raise StackRequestFailed(_json(answer, port).get("Message", answer.text))
    if answer.headers.get("content-type") == PRELUDE_TYPE:
        head, _, body = answer.content.partition(DELIMITER)
        return {**json.loads(head), "body": body.decode(errors="replace")}
    if "x-amz-function-error" in answer.headers:
        raise FunctionFailed(_json(answer, port))
    return _json(answer, port)


def read_status(port: int) -> Any:
    """Return the response of `GET /_local/status`."""
    return _json(_call("GET", port, "/_local/status"), port)


def _call(method: str, port: int, path: str, *, content: bytes | None = None) -> httpx2.Response:
    try:
        return httpx2.request(method, f"http://127.0.0.1:{port}{path}", content=content, timeout=None, trust_env=False)
    except httpx2.ConnectError as error:
        raise StackRequestFailed(f"no stack is running on port {port}. Start it with `parley up`, or give its port with --port.") from error
    except httpx2.HTTPError as error:
        raise StackRequestFailed(f"the stack on port {port} did not answer: {error}") from error


def _json(answer: httpx2.Response, port: int) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise StackRequestFailed(f"the server on port {port} is not Parley. Give the stack's port with --port.") from error
