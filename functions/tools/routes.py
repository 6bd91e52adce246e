"""The routes of a user's tools, of the remote MCP servers that provide more, and of our own MCP server."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from functions.tools.errors import NameTaken, ToolDisabled, TooManyMcpServers
from functions.tools.mcp_endpoint.dispatch import answer_message
from functions.tools.mcp_endpoint.jsonrpc import RpcMessage
from functions.tools.mcp_servers import add_server, refresh_listings, remove_server
from functions.tools.schemas import InvokeIn, MadeMcpServerOut, McpServerOut, NewMcpServer, OutcomeOut, ToolChange, ToolName, ToolOut
from functions.tools.tools import change_settings, run_tool
from parley.db import mcp_servers
from parley.errors import IdempotencyKeyReused, NotFound, ParleyError
from parley.http.dependencies import CurrentPrincipal, Transaction, requires
from parley.http.idempotency import IdempotencyHeader
from parley.http.paging import Listing, Page, read_id, read_key
from parley.http.problems import error_responses, problem_response
from parley.metering.limits import RateLimited

mcp_servers_router = APIRouter(dependencies=[Depends(requires("tools"))])


@mcp_servers_router.post(
    "/tools/mcp-servers",
    status_code=201,
    response_model=MadeMcpServerOut,
    responses=error_responses(NameTaken, TooManyMcpServers, IdempotencyKeyReused),
)
def add_mcp_server(
    body: NewMcpServer, request: Request, principal: CurrentPrincipal, once: IdempotencyHeader
) -> MadeMcpServerOut | dict[str, Any]:
    """Add a server and ask it for its tools, for five seconds at most; the list says what it answered."""
    return add_server(request.app.state.services, principal, body, once)


@mcp_servers_router.get("/tools/mcp-servers")
def list_mcp_servers(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[McpServerOut]:
    """List the caller's servers, newest first, as they answered when they were last asked."""
    found = mcp_servers.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=read_id(page.after))
    return page.listing(found, to_item=McpServerOut.of, key=lambda row: [row.id])


@mcp_servers_router.delete("/tools/mcp-servers/{id}", status_code=204, responses=error_responses(NotFound))
def remove_mcp_server(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> None:
    """Forget a server, what opens it and what was set for its tools."""
    remove_server(transaction, id, user_id=principal.user_id)


tools_router = APIRouter(dependencies=[Depends(requires("tools"))])


@tools_router.get("/tools")
def list_tools(request: Request, principal: CurrentPrincipal, page: Page) -> Listing[ToolOut]:
    """List the user's tools by name, also those that are off.

    MCP servers that have not been asked for ten minutes are asked now, all at once and for five seconds at most.
    """
    services = request.app.state.services
    refresh_listings(services, principal)
    after = read_key(page.after, str) or ""
    found = [tool for tool in services.toolbox(principal).all if tool.spec.name > after]
    return page.listing(found[: page.limit + 1], to_item=ToolOut.of, key=lambda tool: [tool.spec.name])


@tools_router.put("/tools/{id}", responses=error_responses(NotFound))
def change_tool(id: ToolName, body: ToolChange, request: Request, principal: CurrentPrincipal) -> ToolOut:
    """Turn a tool on or off, or have its calls ask first. An approval that the tool itself demands stays."""
    return ToolOut.of(change_settings(request.app.state.services, principal, id, body.columns()))


@tools_router.post("/tools/{id}/invoke", responses=error_responses(NotFound, ToolDisabled, RateLimited))
def invoke_tool(id: ToolName, body: InvokeIn, request: Request, principal: CurrentPrincipal) -> OutcomeOut:
    """Run a tool with these arguments. Who calls has read them: this is the approval, where the tool wants one."""
    return OutcomeOut.model_validate(run_tool(request.app.state.services, principal, id, body.arguments))


mcp_endpoint_router = APIRouter()


class MethodNotAllowed(ParleyError):
    """There is no stream of the server's own and no session to end."""

    status, code = 405, "method_not_allowed"
    public_message = "This MCP server is stateless: send messages by POST."


_RPC_RESPONSES: dict[int | str, Any] = {
    200: {"description": "A JSON-RPC answer", "content": {"application/json": {"schema": {"type": "object"}}}},
    202: {"description": "Accepted: a notification has no answer"},
    400: {"description": "A JSON-RPC error", "content": {"application/json": {"schema": {"type": "object"}}}},
    404: {"description": "A JSON-RPC error", "content": {"application/json": {"schema": {"type": "object"}}}},
}


@mcp_endpoint_router.post("/mcp", responses=_RPC_RESPONSES | error_responses(RateLimited), dependencies=[Depends(requires("tools"))])
def mcp(body: RpcMessage, request: Request, principal: CurrentPrincipal) -> Response:
    """Speak the Model Context Protocol (Streamable HTTP): offer the user's tools to MCP clients, and run them.

    Without a session and without streams: each message is answered by itself. Tools that need an approval are not offered.
    """
    found = answer_message(request.app.state.services, principal, body, request.headers)
    return JSONResponse(found.body, found.status) if found.body else Response(status_code=found.status)


@mcp_endpoint_router.get("/mcp", status_code=405, responses=error_responses(MethodNotAllowed))
def no_mcp_stream(request: Request) -> Response:
    """Refuse: the server sends nothing by itself."""
    return _method_not_allowed(request)


@mcp_endpoint_router.delete("/mcp", status_code=405, responses=error_responses(MethodNotAllowed))
def no_mcp_session(request: Request) -> Response:
    """Refuse: there is no session to end."""
    return _method_not_allowed(request)


def _method_not_allowed(request: Request) -> Response:
    refusal = problem_response(MethodNotAllowed(), request_id=request.scope["parley.request_id"])
    refusal.headers["Allow"] = "POST"
    return refusal


router = APIRouter()


for part in (mcp_servers_router, tools_router, mcp_endpoint_router):
    router.routes += part.routes
