"""Answers MCP messages about the user's tools, resources and prompts. It keeps no state between messages.

Tools that require approval are not offered, because an MCP client cannot approve a call here. Annotations let the client
judge each tool for itself: `openWorldHint` if the tool sends data out, `readOnlyHint` if it changes nothing.

Tools have names that every model's API accepts, because clients pass them on to models: `notes.read` is offered under another name
and has its own as its title. A call may use either.
"""

from collections.abc import Callable, Mapping
from typing import Any

from functions.tools.mcp_endpoint.completion import complete
from functions.tools.mcp_endpoint.jsonrpc import (
    HANDSHAKE_RESOURCE_NOT_FOUND,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    ResourceNotFound,
    RpcError,
    RpcMessage,
    RpcResponse,
    error_response,
    result_response,
)
from functions.tools.mcp_endpoint.negotiation import (
    MODERN_VERSIONS,
    SUPPORTED_VERSIONS,
    VERSION_HEADER,
    check_envelope,
    check_version,
    negotiate,
)
from functions.tools.mcp_endpoint.prompts import get_prompt, list_prompts
from functions.tools.mcp_endpoint.resources import list_resources, list_templates, read_resource
from functions.tools.services import ToolsServices
from functions.tools.tools import count_call
from parley import __version__
from parley.auth.principal import Principal
from parley.http.paging import PAGE_BYTES, items_within
from parley.llm.vendors.tool_calls import vendor_name
from parley.tools.spec import MAX_TIMEOUT_S
from parley.tools.toolbox import OfferedTool, Toolbox

type Params = Mapping[str, Any]
type Method = Callable[[ToolsServices, Principal, Params], dict[str, Any]]

SERVER_INFO = {"name": "parley", "title": "Parley", "version": __version__}
CAPABILITIES: dict[str, dict[str, bool]] = {
    "tools": {"listChanged": False},
    "resources": {"listChanged": False, "subscribe": False},
    "prompts": {"listChanged": False},
    "completions": {},
}
INSTRUCTIONS = (
    "The tools of your Parley account, your documents and conversations as resources, and prompts about them. "
    "Tools that require approval are available only in Parley's own chat."
)
ACCEPTED = RpcResponse(202)


def answer_message(services: ToolsServices, principal: Principal, message: RpcMessage, headers: Mapping[str, str]) -> RpcResponse:
    """Respond to a request with its result, and to a notification with 202. Raises Unauthorized, RateLimited and Unavailable.

    Protocol errors and unknown tools become JSON-RPC errors.
    """
    is_modern = headers.get(VERSION_HEADER) in MODERN_VERSIONS
    try:
        check_version(headers)
        if not message.is_request:
            return ACCEPTED
        if is_modern:
            check_envelope(message, headers)
        content = _call_method(services, principal, message, is_modern=is_modern)
    except RpcError as error:
        if isinstance(error, ResourceNotFound) and not is_modern:
            error.code = HANDSHAKE_RESOURCE_NOT_FOUND
        return error_response(message.id, error)
    return result_response(message.id, _with_modern_fields(content, message.method) if is_modern else content)


def _call_method(services: ToolsServices, principal: Principal, message: RpcMessage, *, is_modern: bool) -> dict[str, Any]:
    method = (MODERN_METHODS if is_modern else HANDSHAKE_METHODS).get(message.method or "")
    if method is None:
        raise RpcError(METHOD_NOT_FOUND, "Unknown method.", status=404 if is_modern else 200)
    return method(services, principal, message.params or {})


def _with_modern_fields(content: dict[str, Any], method: str | None) -> dict[str, Any]:
    """Add the fields that modern results require. Lists and texts of the user may change at any time; the rest may be kept for an hour."""
    common = {"resultType": "complete", "_meta": {"io.modelcontextprotocol/serverInfo": SERVER_INFO}}
    ttl_ms = CACHE_TTL_MS.get(method or "")
    return content | common | ({"ttlMs": ttl_ms, "cacheScope": "private"} if ttl_ms is not None else {})


def initialize(_services: ToolsServices, _principal: Principal, params: Params) -> dict[str, Any]:
    """Negotiate the revision. The server does not store it."""
    version = negotiate(params.get("protocolVersion"))
    return {"protocolVersion": version, "capabilities": CAPABILITIES, "serverInfo": SERVER_INFO, "instructions": INSTRUCTIONS}


def discover(_services: ToolsServices, _principal: Principal, _params: Params) -> dict[str, Any]:
    """Return the supported revisions and capabilities, for clients without a handshake."""
    return {"supportedVersions": list(SUPPORTED_VERSIONS), "capabilities": CAPABILITIES, "instructions": INSTRUCTIONS}


def ping(_services: ToolsServices, _principal: Principal, _params: Params) -> dict[str, Any]:
    """Return an empty result, as the protocol requires."""
    return {}


def list_tools(services: ToolsServices, principal: Principal, params: Params) -> dict[str, Any]:
    """Return the tools that require no approval. A page holds at most 1 MiB, and its cursor is the name of its last tool.

    Raises RpcError for a cursor that is not text.
    """
    cursor = params.get("cursor") or ""
    if not isinstance(cursor, str):
        raise RpcError(INVALID_PARAMS, "cursor must be a string.")
    offered = _tools_without_approval(services.toolbox(principal))
    left = [tool for tool in offered if tool.spec.name > cursor]
    tools = items_within(PAGE_BYTES, left, _describe_tool)
    return {"tools": tools} | ({"nextCursor": left[len(tools) - 1].spec.name} if len(tools) < len(left) else {})


def call_tool(services: ToolsServices, principal: Principal, params: Params) -> dict[str, Any]:
    """Run a tool. If it fails, the result has `isError`. Raises RateLimited, and RpcError for an unknown tool or invalid arguments."""
    given, arguments = params.get("name"), params.get("arguments")
    toolbox = services.toolbox(principal)
    names = [tool.spec.name for tool in _tools_without_approval(toolbox)]
    name = next((name for name in names if given in (name, vendor_name(name))), None)
    if name is None:
        raise RpcError(INVALID_PARAMS, f"Unknown tool: {str(given)[:100]}")
    if not isinstance(arguments, dict | None):
        raise RpcError(INVALID_PARAMS, "arguments must be an object.")
    count_call(services, principal)
    outcome = toolbox.run(name, arguments or {}, timeout_s=MAX_TIMEOUT_S)
    return {"content": [{"type": "text", "text": outcome.content}], "isError": not outcome.ok}


def _tools_without_approval(toolbox: Toolbox) -> list[OfferedTool]:
    return [tool for tool in toolbox.offered if not tool.requires_approval]


def _describe_tool(tool: OfferedTool) -> dict[str, Any]:
    spec = tool.spec
    hints = {"readOnlyHint": not spec.writes, "openWorldHint": spec.egress}
    return {
        "name": vendor_name(spec.name),
        "title": spec.name,
        "description": spec.description,
        "inputSchema": dict(spec.parameters),
        "annotations": hints,
    }


COMMON_METHODS: dict[str, Method] = {
    "tools/list": list_tools,
    "tools/call": call_tool,
    "resources/list": list_resources,
    "resources/templates/list": list_templates,
    "resources/read": read_resource,
    "prompts/list": list_prompts,
    "prompts/get": get_prompt,
    "completion/complete": complete,
}
HANDSHAKE_METHODS: dict[str, Method] = COMMON_METHODS | {"initialize": initialize, "ping": ping}
MODERN_METHODS: dict[str, Method] = COMMON_METHODS | {"server/discover": discover}
CACHE_TTL_MS = dict.fromkeys(("tools/list", "resources/list", "resources/read", "prompts/list"), 0) | dict.fromkeys(
    ("server/discover", "resources/templates/list"), 3_600_000
)
