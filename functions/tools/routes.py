"""The routes of a user's tools, of the remote MCP servers that provide more tools, and of Parley's own MCP server."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, TypeAdapter

from functions.tools import tools
from functions.tools.errors import NameTaken, ToolDisabled, TooManyMcpServers
from functions.tools.mcp_endpoint.dispatch import answer_message
from functions.tools.mcp_endpoint.jsonrpc import RpcMessage, unreadable_response
from functions.tools.mcp_servers import add_server, refresh_listings, refresh_server, remove_server
from functions.tools.schemas import CreatedMcpServerOut, InvokeIn, McpServerIn, McpServerOut, OutcomeOut, ToolChange, ToolOut
from functions.tools.services import ToolsServicesDep
from functions.tools.webhooks.routes import webhooks_router
from parley.auth.principal import Principal
from parley.db import mcp_servers
from parley.errors import IdempotencyKeyReused, NotFound, ParleyError, RequestInProgress
from parley.http.app import join_routers
from parley.http.dependencies import CurrentPrincipal, InvocationDeadline, RequestOrigin, Transaction, require_live_session, requires
from parley.http.idempotency import IdempotencyHeader
from parley.http.lazy_routes import LazyRoute
from parley.http.origins import ForeignOrigin, require_known_origin
from parley.http.paging import CursorText, Listing, Page
from parley.http.problems import error_responses, problem_response
from parley.metering.limits import RateLimited

TOOL_KEY = TypeAdapter(tuple[CursorText])

# A tool of an MCP server is named `<server>.<tool>`.
ToolName = Annotated[str, Path(max_length=100)]

mcp_servers_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("tools"))])


@mcp_servers_router.post(
    "/tools/mcp-servers",
    status_code=201,
    response_model=CreatedMcpServerOut,
    responses=error_responses(NameTaken, TooManyMcpServers, IdempotencyKeyReused),
)
def add_mcp_server(
    body: McpServerIn, services: ToolsServicesDep, principal: CurrentPrincipal, idempotency: IdempotencyHeader, origin: RequestOrigin
) -> BaseModel | dict[str, Any]:
    """Add an MCP server and fetch its tool list, for at most five seconds. `GET /tools/mcp-servers` shows the result."""
    request = idempotency.request("POST /tools/mcp-servers", body, render=CreatedMcpServerOut.model_validate)
    return add_server(services, principal, request, origin, **body.model_dump()).response


@mcp_servers_router.get("/tools/mcp-servers")
def list_mcp_servers(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[McpServerOut]:
    """List the caller's MCP servers, newest first, with the result of their last tool listing."""
    rows = mcp_servers.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=page.after_id())
    return page.listing(rows, to_item=McpServerOut.of, key=lambda row: [row.id])


@mcp_servers_router.post("/tools/mcp-servers/{id}/refresh", responses=error_responses(NotFound, RateLimited))
def refresh_mcp_server(id: UUID, services: ToolsServicesDep, principal: CurrentPrincipal) -> McpServerOut:
    """Fetch an MCP server's tool list now, for at most five seconds, and return the server with the result."""
    return McpServerOut.of(refresh_server(services, principal, id))


@mcp_servers_router.delete("/tools/mcp-servers/{id}", status_code=204, responses=error_responses(NotFound))
def remove_mcp_server(id: UUID, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> None:
    """Delete an MCP server, its headers and the settings of its tools."""
    remove_server(transaction, id, origin, user_id=principal.user_id)


tools_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("tools"))])


@tools_router.get("/tools")
def list_tools(services: ToolsServicesDep, principal: CurrentPrincipal, page: Page) -> Listing[ToolOut]:
    """List the user's tools by name, including disabled tools.

    Before that, MCP servers whose tool lists are older than ten minutes are asked again, in parallel and for at most five seconds.
    """
    refresh_listings(services, principal)
    (after,) = page.after(TOOL_KEY) or ("",)
    found = [tool for tool in services.toolbox(principal).all if tool.spec.name > after]
    return page.listing(found[: page.limit + 1], to_item=ToolOut.of, key=lambda tool: [tool.spec.name])


@tools_router.put("/tools/{id}", responses=error_responses(NotFound))
def change_tool(id: ToolName, body: ToolChange, services: ToolsServicesDep, principal: CurrentPrincipal, origin: RequestOrigin) -> ToolOut:
    """Enable or disable a tool, or require approval of its calls. An approval that the tool itself requires remains required."""
    return ToolOut.of(tools.change_settings(services, principal, id, body.columns(), origin))


@tools_router.post(
    "/tools/{id}/invoke",
    response_model=OutcomeOut,
    responses=error_responses(NotFound, ToolDisabled, RateLimited, IdempotencyKeyReused, RequestInProgress),
)
def invoke_tool(
    id: ToolName,
    body: InvokeIn,
    services: ToolsServicesDep,
    principal: CurrentPrincipal,
    idempotency: IdempotencyHeader,
    deadline: InvocationDeadline,
) -> BaseModel | dict[str, Any]:
    """Run a tool with these arguments. If the tool requires approval, the request itself counts as the approval."""
    request = idempotency.request("POST /tools/{id}/invoke", body, render=OutcomeOut.model_validate, parameters=[id])
    run = partial(tools.run_tool, services, principal, id, body.arguments)
    return request.run_exclusively(services.engine, principal, run, deadline).response


mcp_endpoint_router = APIRouter(route_class=LazyRoute)


class MethodNotAllowed(ParleyError):
    """The MCP server is stateless: it has no stream to open and no session to end."""

    status, code = 405, "method_not_allowed"
    public_message = "This MCP server is stateless. Send messages by POST."


async def _mcp_caller(request: Request, principal: CurrentPrincipal) -> Principal:
    """Return the caller with its scopes on this route, or raise Forbidden."""
    caller = principal.for_mcp()
    caller.require("tools")
    # Not every method opens a transaction, and an ended session must not get even the supported revisions.
    await require_live_session(request, caller)
    return caller


McpCaller = Annotated[Principal, Depends(_mcp_caller)]

_RPC_RESPONSES: dict[int | str, Any] = {
    200: {"description": "A JSON-RPC response", "content": {"application/json": {"schema": {"type": "object"}}}},
    202: {"description": "Accepted: a notification has no response"},
    400: {"description": "A JSON-RPC error", "content": {"application/json": {"schema": {"type": "object"}}}},
    404: {"description": "A JSON-RPC error", "content": {"application/json": {"schema": {"type": "object"}}}},
}


@mcp_endpoint_router.post(
    "/mcp",
    responses=_RPC_RESPONSES | error_responses(RateLimited, ForeignOrigin),
    dependencies=[Depends(require_known_origin)],
)
def mcp(body: RpcMessage, request: Request, services: ToolsServicesDep, principal: McpCaller) -> Response:
    """Serve the Model Context Protocol (Streamable HTTP): list the user's tools for MCP clients and run them.

    The server has no sessions and no streams: it responds to each message separately. Tools that require approval are not
    offered.
    """
    response = answer_message(services, principal, body, request.headers)
    return JSONResponse(response.body, response.status) if response.body else Response(status_code=response.status)


@mcp_endpoint_router.get("/mcp", status_code=405, responses=error_responses(MethodNotAllowed))
def no_mcp_stream(request: Request) -> Response:
    """Refuse to open a stream: the server sends no messages of its own."""
    return _method_not_allowed(request)


@mcp_endpoint_router.delete("/mcp", status_code=405, responses=error_responses(MethodNotAllowed))
def no_mcp_session(request: Request) -> Response:
    """Refuse to end a session: the server has no sessions."""
    return _method_not_allowed(request)


def _method_not_allowed(request: Request) -> Response:
    response = problem_response(MethodNotAllowed(), request_id=request.scope["parley.request_id"])
    response.headers["Allow"] = "POST"
    return response


def respond_with_rpc_error(error: ParleyError, request_id: str) -> Response:
    """Respond to a message that cannot be read with a JSON-RPC error, and to all other errors with a problem document."""
    response = unreadable_response(error)
    return JSONResponse(response.body, response.status) if response else problem_response(error, request_id=request_id)


ERROR_RESPONDERS = {"/mcp": respond_with_rpc_error}

router = join_routers(mcp_servers_router, tools_router, mcp_endpoint_router, webhooks_router)
