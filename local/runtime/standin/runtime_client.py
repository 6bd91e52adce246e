"""A Python stand-in for the native module `runtime_client` of `awslambdaric`, which is built on Linux only.

Return values, headers and errors are the same as those of `awslambdaric/runtime_client.cpp` and of aws-lambda-cpp; a test
compares the two modules. One connection serves the whole process, as with curl in the native module.
"""

import http.client
import os

_BASE = "/2018-06-01/runtime/invocation/"
_HEADERS_ALWAYS_SENT = ("Lambda-Runtime-Aws-Request-Id", "Lambda-Runtime-Invoked-Function-Arn")

_OPTIONAL_HEADERS = (
    "Lambda-Runtime-Trace-Id",
    "Lambda-Runtime-Client-Context",
    "Lambda-Runtime-Cognito-Identity",
    "Lambda-Runtime-Aws-Tenant-Id",
    "Lambda-Runtime-Invocation-Id",
    "Content-Type",
)


class _RuntimeClient:
    """A client of the Runtime API. Every fault raises RuntimeError, which ends the worker."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(address)
        self._user_agent = ""

    def initialize_client(self, user_agent: str) -> None:
        """Set the User-Agent of the requests."""
        self._user_agent = user_agent

    def next(self) -> tuple[bytes, dict[str, str | int | None]]:
        """Wait for an invocation; return its event and its headers. Optional headers that are missing are None."""
        answer, body = self._call("GET", "next", "Failed to get next")
        headers: dict[str, str | int | None] = {name: answer.headers[name] or "" for name in _HEADERS_ALWAYS_SENT}
        headers |= {name: answer.headers[name] or None for name in _OPTIONAL_HEADERS}
        return body, headers | {"Lambda-Runtime-Deadline-Ms": int(answer.headers["Lambda-Runtime-Deadline-Ms"] or 0)}

    def post_invocation_result(self, invoke_id: str, result: bytes, content_type: str, invocation_id: str | None = None) -> None:
        """Send the result of an invocation."""
        headers = {"content-type": content_type, **_invocation_id_header(invocation_id)}
        self._call("POST", f"{invoke_id}/response", "Failed to post invocation response", result, headers)

    def post_error(self, invoke_id: str, error: str, xray_cause: str, invocation_id: str | None = None) -> None:
        """Report a failed invocation: the error object, and the cause for X-Ray."""
        headers = {
            "content-type": "application/json",
            "lambda-runtime-function-xray-error-cause": xray_cause,
            **_invocation_id_header(invocation_id),
        }
        self._call("POST", f"{invoke_id}/error", "Failed to post invocation error", error.encode(), headers)

    def _call(
        self, method: str, path: str, fault: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        # Encoded here: http.client encodes strings as Latin-1, and messages may be in any language.
        sent = {name: value.encode() for name, value in {"User-Agent": self._user_agent, **(headers or {})}.items() if value}
        try:
            self._connection.request(method, _BASE + path, body, sent)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise RuntimeError(fault) from error
        if not 200 <= answer.status < 300:
            raise RuntimeError(fault)
        return answer, content


def _invocation_id_header(invocation_id: str | None) -> dict[str, str]:
    return {"lambda-runtime-invocation-id": invocation_id} if invocation_id else {}


_client = _RuntimeClient(os.environ.get("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"))
initialize_client = _client.initialize_client
next = _client.next
post_invocation_result = _client.post_invocation_result
post_error = _client.post_error
