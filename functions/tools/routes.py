"""The routes of tools, of the servers that bring more, and of the one that offers them, together."""

from fastapi import APIRouter

from functions.tools import mcp_routes, mcp_server_routes, tool_routes

router = APIRouter()
for part in (mcp_server_routes.router, tool_routes.router, mcp_routes.router):
    router.routes += part.routes
