"""Lambda's Invoke endpoint, for boto3 and for `parley invoke`.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import asyncio
import json
from collections.abc import Mapping
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.gateway.app import EVENT_LIMIT_BYTES
from local.runtime.fleet import Fleet
from local.runtime.outcome import Failure, Outcome, Stream, StreamBroken
from local.template.pseudo import function_arn, function_name

INVOKE_PATH = "/_local/lambda/2015-03-31/functions/{name:path}/invocations"
_EVENT_LIMIT_BYTES = {"Event": 1_048_576}


class InvokeEndpoint:
    """Invokes a function by name, as `RequestResponse`, `Event` or `DryRun`."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def __call__(self, request: Request) -> Response:
        name = function_name(request.path_params["name"])
        kind = request.headers.get("x-amz-invocation-type", "RequestResponse")
        payload = await request.body() or b"{}"
        if problem := self._problem(name, kind, payload):
            return problem
        if kind == "DryRun":
            return Response(status_code=204)
        # SDKs quote the "|" in the trace of a function that a message of another one has invoked.
        trace_id = unquote(request.headers.get("x-amzn-trace-id", ""))
        invocation = self._fleet.submit(name, payload, trace_id=trace_id)
        if kind == "Event":
            invocation.detach()
            return Response(status_code=202, headers={"x-amzn-RequestId": invocation.id})
        return await _response(await asyncio.shield(invocation.outcome), invocation.id)

    def _problem(self, name: str, kind: str, payload: bytes) -> Response | None:
        if name not in self._fleet.pools:
            return _error(404, "ResourceNotFoundException", f"Function not found: {function_arn(name)}")
        if kind not in ("RequestResponse", "Event", "DryRun"):
            return _error(400, "InvalidParameterValueException", f"{kind!r} is not an invocation type")
        limit = _EVENT_LIMIT_BYTES.get(kind, EVENT_LIMIT_BYTES)
        if len(payload) > limit:
            return _error(413, "RequestTooLargeException", f"Request must be smaller than {limit} bytes for the InvokeFunction operation")
        return None if _is_json(payload) else _error(400, "InvalidRequestContentException", "Could not parse request body into json")


async def _response(outcome: Outcome, request_id: str) -> Response:
    headers = {"x-amzn-RequestId": request_id, "X-Amz-Executed-Version": "$LATEST", "Content-Type": "application/json"}
    if isinstance(outcome, Stream):
        return await _buffered_stream(outcome, headers)
    if isinstance(outcome, Failure):
        headers["X-Amz-Function-Error"] = "Unhandled"
    return Response(outcome.payload, headers=headers)


async def _buffered_stream(stream: Stream, headers: Mapping[str, str]) -> Response:
    """Return all chunks in one response, as Lambda's Invoke does with a streaming function."""
    try:
        body = b"".join([chunk async for chunk in stream])
    except StreamBroken as error:
        return Response(error.failure.payload, headers={**headers, "X-Amz-Function-Error": "Unhandled"})
    return Response(body, headers={**headers, "Content-Type": stream.content_type})


def _is_json(payload: bytes) -> bool:
    try:
        json.loads(payload)
    except ValueError:
        return False
    return True


def _error(status: int, kind: str, message: str) -> Response:
    return JSONResponse({"Type": "User", "Message": message}, status, headers={"x-amzn-ErrorType": kind})
