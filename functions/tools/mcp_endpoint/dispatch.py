"""Answers one message of an MCP client: list the user's tools, or run one. No state is kept between messages.

Tools whose calls need an approval are not offered, because nobody could approve them here. A client has its own model and
its own user, so it is told which tools send data out (`openWorldHint`) and which change nothing (`readOnlyHint`).
"""

from collections.abc import Callable, Mapping
from typing import Any

from functions.tools.mcp_endpoint.jsonrpc import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    RpcAnswer,
    RpcError,
    RpcMessage,
    error_answer,
    result_answer,
)
from functions.tools.mcp_endpoint.negotiation import (
    MODERN_VERSIONS,
    SUPPORTED_VERSIONS,
    VERSION_HEADER,
    check_envelope,
    check_version,
    negotiate,
)
from functions.tools.services import ToolsServices
from functions.tools.tools import count_call
from parley import __version__
from parley.auth.principal import Principal
from parley.db.transactions import principal_scope
from parley.tools.spec import MAX_TIMEOUT_S
from parley.tools.toolbox import OfferedTool, Toolbox

type Params = Mapping[str, Any]


type Method = Callable[[ToolsServices, Principal, Params], dict[str, Any]]


SERVER_INFO = {"name": "parley", "title": "Parley", "version": __version__}


CAPABILITIES = {"tools": {"listChanged": False}}


INSTRUCTIONS = "The tools that your Parley account may use. Those that need an approval are to be had in its own chat only."


def initialize(_services: ToolsServices, _principal: Principal, params: Params) -> dict[str, Any]:
    """Agree on a revision. Nothing is kept of it."""
    version = negotiate(params.get("protocolVersion"))
    return {"protocolVersion": version, "capabilities": CAPABILITIES, "serverInfo": SERVER_INFO, "instructions": INSTRUCTIONS}


def discover(_services: ToolsServices, _principal: Principal, _params: Params) -> dict[str, Any]:
    """Say what is spoken here, for clients that need no handshake."""
    return {"supportedVersions": list(SUPPORTED_VERSIONS), "capabilities": CAPABILITIES, "instructions": INSTRUCTIONS}


def ping(_services: ToolsServices, _principal: Principal, _params: Params) -> dict[str, Any]:
    """Say nothing, which says enough."""
    return {}


def list_tools(services: ToolsServices, principal: Principal, _params: Params) -> dict[str, Any]:
    """Return the tools that need no approval, in one piece."""
    return {"tools": [_describe_tool(tool) for tool in _tools_without_approval(services.toolbox(principal)).values()]}


def call_tool(services: ToolsServices, principal: Principal, params: Params) -> dict[str, Any]:
    """Run a tool; that it failed is a result, too. Raises RpcError for one that is not there, and RateLimited."""
    name, arguments = params.get("name"), params.get("arguments")
    box = services.toolbox(principal)
    if not isinstance(name, str) or name not in _tools_without_approval(box):
        raise RpcError(INVALID_PARAMS, f"Unknown tool: {str(name)[:100]}")
    if not isinstance(arguments, dict | None):
        raise RpcError(INVALID_PARAMS, "The arguments are an object.")
    count_call(services, principal)
    outcome = box.run(name, arguments or {}, timeout_s=MAX_TIMEOUT_S)
    return {"content": [{"type": "text", "text": outcome.content}], "isError": not outcome.ok}


def _tools_without_approval(box: Toolbox) -> dict[str, OfferedTool]:
    return {tool.spec.name: tool for tool in box.offered if not tool.requires_approval}


def _describe_tool(tool: OfferedTool) -> dict[str, Any]:
    spec = tool.spec
    hints = {"readOnlyHint": not spec.writes, "openWorldHint": spec.egress}
    return {"name": spec.name, "description": spec.description, "inputSchema": dict(spec.parameters), "annotations": hints}


COMMON_METHODS: dict[str, Method] = {"tools/list": list_tools, "tools/call": call_tool}


HANDSHAKE_METHODS: dict[str, Method] = COMMON_METHODS | {"initialize": initialize, "ping": ping}


MODERN_METHODS: dict[str, Method] = COMMON_METHODS | {"server/discover": discover}


CACHEABLE_METHODS = {"tools/list", "server/discover"}


ACCEPTED = RpcAnswer(202)


def answer_message(services: ToolsServices, principal: Principal, message: RpcMessage, headers: Mapping[str, str]) -> RpcAnswer:
    """Answer a request; accept what wants no answer. Raises what guards every request: Unauthorized, RateLimited, Unavailable."""
    # Also what touches no row: a session that has ended may not even ask what is spoken here.
    with principal_scope(services.engine, principal):
        pass
    is_modern = headers.get(VERSION_HEADER) in MODERN_VERSIONS
    try:
        check_version(headers)
        if not message.is_request:
            return ACCEPTED
        if is_modern:
            check_envelope(message, headers)
        content = _call_method(services, principal, message, is_modern=is_modern)
    except RpcError as error:
        return error_answer(message.id, error)
    return result_answer(message.id, _with_modern_fields(content, message.method) if is_modern else content)


def _call_method(services: ToolsServices, principal: Principal, message: RpcMessage, *, is_modern: bool) -> dict[str, Any]:
    method = (MODERN_METHODS if is_modern else HANDSHAKE_METHODS).get(message.method or "")
    if method is None:
        raise RpcError(METHOD_NOT_FOUND, "There is no such method.", status=404 if is_modern else 200)
    return method(services, principal, message.params or {})


def _with_modern_fields(content: dict[str, Any], method: str | None) -> dict[str, Any]:
    """Add what a modern result says about itself. It is one user's, and stale at once: their settings may change."""
    about = {"resultType": "complete", "_meta": {"io.modelcontextprotocol/serverInfo": SERVER_INFO}}
    return content | about | ({"ttlMs": 0, "cacheScope": "private"} if method in CACHEABLE_METHODS else {})
