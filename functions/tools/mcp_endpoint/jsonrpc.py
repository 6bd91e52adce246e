"""JSON-RPC 2.0 messages: requests, results and errors."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from parley.errors import InvalidInput, MalformedBody, ParleyError
from parley.http.schemas import Input

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
HANDSHAKE_RESOURCE_NOT_FOUND = -32002
HEADER_MISMATCH, UNSUPPORTED_VERSION = -32020, -32022

type MessageId = int | str | None


class RpcMessage(Input):
    """A request, a notification or a response. Batches are not supported. Responses are ignored, because this server sends no requests."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    jsonrpc: Literal["2.0"]
    method: Annotated[str, Field(max_length=200, examples=["ping"])] | None = None
    id: Annotated[int | str | None, Field(examples=[1])] = None
    params: dict[str, Any] | None = None

    @property
    def is_request(self) -> bool:
        """Whether the message is a request, which needs a response."""
        return self.method is not None and self.id is not None

    @property
    def meta(self) -> dict[str, Any]:
        """The `_meta` object of the parameters. It is empty if the message has none."""
        meta = (self.params or {}).get("_meta")
        return meta if isinstance(meta, dict) else {}


class RpcError(Exception):
    """A failure to report to the client as a JSON-RPC error."""

    def __init__(self, code: int, message: str, *, status: int = 200, **data: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.data = code, message, status, data


class ResourceNotFound(RpcError):
    """There is no such resource, or the caller may not read it. The revisions with a handshake have a code of their own for it."""

    def __init__(self, uri: str) -> None:
        super().__init__(INVALID_PARAMS, "There is no such resource.", uri=uri[:500])


@dataclass(frozen=True, slots=True)
class RpcResponse:
    """An HTTP status and the JSON-RPC message to send, if any."""

    status: int
    body: dict[str, Any] | None = None


def result_response(id: MessageId, content: dict[str, Any]) -> RpcResponse:
    """Build the response to a successful request."""
    return RpcResponse(200, {"jsonrpc": "2.0", "id": id, "result": content})


def unreadable_response(error: ParleyError) -> RpcResponse | None:
    """Build the response to a body that is not a JSON-RPC message, or return None for any other error."""
    if isinstance(error, MalformedBody):
        return error_response(None, RpcError(PARSE_ERROR, "The body is not valid JSON.", status=400))
    if type(error) is InvalidInput:
        invalid = RpcError(INVALID_REQUEST, "The body is not a JSON-RPC request.", status=400, errors=error.errors)
        return error_response(None, invalid)
    return None


def error_response(id: MessageId, error: RpcError) -> RpcResponse:
    """Build the response to a failed request."""
    error_object = {"code": error.code, "message": error.message} | ({"data": error.data} if error.data else {})
    return RpcResponse(error.status, {"jsonrpc": "2.0", "id": id, "error": error_object})
