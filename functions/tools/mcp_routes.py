"""The MCP server: one route, stateless, with JSON for an answer."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from functions.tools.protocol.dispatch import answer
from functions.tools.protocol.messages import RpcMessage
from parley.errors import ParleyError
from parley.http.dependencies import CurrentPrincipal, requires
from parley.http.problems import error_responses, problem_response
from parley.metering.limits import RateLimited

router = APIRouter()


class MethodNotAllowed(ParleyError):
    """There is no stream of the server's own and no session to end."""

    status, code = 405, "method_not_allowed"
    public_message = "This MCP server is stateless: send messages by POST."


_RPC: dict[int | str, Any] = {
    200: {"description": "A JSON-RPC answer", "content": {"application/json": {"schema": {"type": "object"}}}},
    202: {"description": "Accepted: a notification has no answer"},
    400: {"description": "A JSON-RPC error", "content": {"application/json": {"schema": {"type": "object"}}}},
    404: {"description": "A JSON-RPC error", "content": {"application/json": {"schema": {"type": "object"}}}},
}


@router.post("/mcp", responses=_RPC | error_responses(RateLimited), dependencies=[Depends(requires("tools"))])
def mcp(body: RpcMessage, request: Request, principal: CurrentPrincipal) -> Response:
    """Speak the Model Context Protocol (Streamable HTTP): offer the user's tools to MCP clients, and run them.

    Without a session and without streams: each message is answered by itself. Tools that need an approval are not offered.
    """
    found = answer(request.app.state.services, principal, body, request.headers)
    return JSONResponse(found.body, found.status) if found.body else Response(status_code=found.status)


@router.get("/mcp", status_code=405, responses=error_responses(MethodNotAllowed))
def no_mcp_stream(request: Request) -> Response:
    """Refuse: the server sends nothing by itself."""
    return _refused(request)


@router.delete("/mcp", status_code=405, responses=error_responses(MethodNotAllowed))
def no_mcp_session(request: Request) -> Response:
    """Refuse: there is no session to end."""
    return _refused(request)


def _refused(request: Request) -> Response:
    refusal = problem_response(MethodNotAllowed(), request_id=request.scope["parley.request_id"])
    refusal.headers["Allow"] = "POST"
    return refusal
