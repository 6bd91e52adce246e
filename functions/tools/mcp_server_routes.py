"""The routes of the remote MCP servers whose tools a user may use."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from functions.tools.errors import NameTaken, TooManyMcpServers
from functions.tools.mcp_server_schemas import MadeMcpServerOut, McpServerOut, NewMcpServer
from functions.tools.registering import add_server, remove_server
from parley.db import mcp_servers
from parley.errors import NotFound
from parley.http.dependencies import CurrentPrincipal, Transaction, requires
from parley.http.idempotency import IdempotencyHeader, IdempotencyKeyReused
from parley.http.paging import Listing, Page, read_id
from parley.http.problems import error_responses

router = APIRouter(dependencies=[Depends(requires("tools"))])


@router.post(
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


@router.get("/tools/mcp-servers")
def list_mcp_servers(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[McpServerOut]:
    """List the caller's servers, newest first, as they answered when they were last asked."""
    found = mcp_servers.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=read_id(page.after))
    return page.listing(found, to_item=McpServerOut.of, key=lambda row: [row.id])


@router.delete("/tools/mcp-servers/{id}", status_code=204, responses=error_responses(NotFound))
def remove_mcp_server(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> None:
    """Forget a server, what opens it and what was set for its tools."""
    remove_server(transaction, id, user_id=principal.user_id)
