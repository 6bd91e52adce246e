"""A client of the control API, for the command line."""

import json
from typing import Any

import httpx2

from cli.output import aligned_table
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


def status_table(status: dict[str, Any]) -> str:
    """Return the response of `/_local/status` as aligned tables."""
    functions = [_function_row(function) for function in status["functions"]]
    schedules = [_schedule_row(schedule) for schedule in status["schedules"]]
    queues = [_queue_row(queue) for queue in status["queues"]]
    buckets = [_bucket_row(bucket) for bucket in status["buckets"]]
    services = [(name, _service_state(service)) for name, service in status["services"].items()]
    sections = [
        aligned_table([("FUNCTION", "IDLE", "BUSY", "CALLS", "ERRORS", "PEAK MB"), *functions]),
        aligned_table([("SCHEDULE", "FUNCTION", "EXPRESSION", "NEXT"), *schedules]) if schedules else "",
        aligned_table([("QUEUE", "VISIBLE", "IN FLIGHT", "DELAYED", "DEAD-LETTER QUEUE"), *queues]) if queues else "",
        aligned_table([("BUCKET", "OBJECTS", "MB"), *buckets]) if buckets else "",
        aligned_table([("SERVICE", ""), *services]) if services else "",
    ]
    return "\n\n".join(section for section in sections if section)


def _function_row(function: dict[str, Any]) -> tuple[str, ...]:
    workers = function["workers"]
    figures = (workers["idle"], workers["busy"], function["invocations"], function["errors"], f"{function['peak_mb']:.0f}")
    return (function["name"], *(str(figure) for figure in figures))


def _schedule_row(schedule: dict[str, Any]) -> tuple[str, ...]:
    return (schedule["name"], schedule["function"], schedule["expression"], schedule["next_run"] or "-")


def _queue_row(queue: dict[str, Any]) -> tuple[str, ...]:
    return (queue["name"], str(queue["visible"]), str(queue["in_flight"]), str(queue["delayed"]), queue["dead_letters"] or "-")


def _bucket_row(bucket: dict[str, Any]) -> tuple[str, ...]:
    return (bucket["name"], str(bucket["objects"]), f"{bucket['bytes'] / 1_000_000:.1f}")


def _service_state(service: dict[str, Any] | None) -> str:
    if service is None:
        return "not used"
    return f"{'running' if service['running'] else 'down'} on port {service['port']}"


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
