"""JSON-RPC 2.0 messages: requests, results and errors."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from parley.http.schemas import Input

INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32600, -32601, -32602
HEADER_MISMATCH, UNSUPPORTED_VERSION = -32020, -32022

type MessageId = int | str | None


class RpcMessage(Input):
    """One request or notification, or a client's answer, which nobody here has asked for. Batches are not taken."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    jsonrpc: Literal["2.0"]
    method: Annotated[str, Field(max_length=200, examples=["ping"])] | None = None
    id: Annotated[int | str | None, Field(examples=[1])] = None
    params: dict[str, Any] | None = None

    @property
    def is_request(self) -> bool:
        """Whether it is a request."""
        return self.method is not None and self.id is not None

    @property
    def meta(self) -> dict[str, Any]:
        """What a request says about itself."""
        found = (self.params or {}).get("_meta")
        return found if isinstance(found, dict) else {}


class RpcError(Exception):
    """A request that is answered with a JSON-RPC error."""

    def __init__(self, code: int, message: str, *, status: int = 200, **data: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.data = code, message, status, data


@dataclass(frozen=True, slots=True)
class RpcAnswer:
    """An HTTP status and a JSON-RPC message; without one, nothing is said."""

    status: int
    body: dict[str, Any] | None = None


def result_answer(id: MessageId, content: dict[str, Any]) -> RpcAnswer:
    """Answer a request."""
    return RpcAnswer(200, {"jsonrpc": "2.0", "id": id, "result": content})


def error_answer(id: MessageId, error: RpcError) -> RpcAnswer:
    """Answer with an error."""
    error_object = {"code": error.code, "message": error.message} | ({"data": error.data} if error.data else {})
    return RpcAnswer(error.status, {"jsonrpc": "2.0", "id": id, "error": error_object})
