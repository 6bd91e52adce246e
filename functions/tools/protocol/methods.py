"""What MCP clients may ask: for the user's tools, and to run one.

Tools whose calls must be approved are not there: nobody could approve them. A client has its own model and its own
person at it, so it is told what sends out (`openWorldHint`) and what changes nothing (`readOnlyHint`).
"""

from collections.abc import Callable, Mapping
from typing import Any

from functions.tools.calling import count
from functions.tools.desk import Desk
from functions.tools.protocol.messages import INVALID_PARAMS, RpcError
from functions.tools.protocol.versions import SUPPORTED, agreed
from parley import __version__
from parley.auth.principal import Principal
from parley.tools.spec import MAX_TIMEOUT_S
from parley.tools.toolbox import OfferedTool, Toolbox

type Params = Mapping[str, Any]
type Method = Callable[[Desk, Principal, Params], dict[str, Any]]

SERVER = {"name": "parley", "title": "Parley", "version": __version__}
CAPABILITIES = {"tools": {"listChanged": False}}
INSTRUCTIONS = "The tools that your Parley account may use. Those that need an approval are to be had in its own chat only."


def initialize(_desk: Desk, _principal: Principal, params: Params) -> dict[str, Any]:
    """Agree on a revision. Nothing is kept of it."""
    version = agreed(params.get("protocolVersion"))
    return {"protocolVersion": version, "capabilities": CAPABILITIES, "serverInfo": SERVER, "instructions": INSTRUCTIONS}


def discover(_desk: Desk, _principal: Principal, _params: Params) -> dict[str, Any]:
    """Say what is spoken here, for clients that need no handshake."""
    return {"supportedVersions": list(SUPPORTED), "capabilities": CAPABILITIES, "instructions": INSTRUCTIONS}


def ping(_desk: Desk, _principal: Principal, _params: Params) -> dict[str, Any]:
    """Say nothing, which says enough."""
    return {}


def list_tools(services: Desk, principal: Principal, _params: Params) -> dict[str, Any]:
    """Return the tools that need no approval, in one piece."""
    return {"tools": [_described(tool) for tool in _open(services.toolbox(principal)).values()]}


def call_tool(services: Desk, principal: Principal, params: Params) -> dict[str, Any]:
    """Run a tool; that it failed is a result, too. Raises RpcError for one that is not there, and RateLimited."""
    name, arguments = params.get("name"), params.get("arguments")
    box = services.toolbox(principal)
    if not isinstance(name, str) or name not in _open(box):
        raise RpcError(INVALID_PARAMS, f"Unknown tool: {str(name)[:100]}")
    if not isinstance(arguments, dict | None):
        raise RpcError(INVALID_PARAMS, "The arguments are an object.")
    count(services, principal)
    outcome = box.run(name, arguments or {}, timeout_s=MAX_TIMEOUT_S)
    return {"content": [{"type": "text", "text": outcome.content}], "isError": not outcome.ok}


def _open(box: Toolbox) -> dict[str, OfferedTool]:
    return {tool.spec.name: tool for tool in box.offered if not tool.requires_approval}


def _described(tool: OfferedTool) -> dict[str, Any]:
    spec = tool.spec
    hints = {"readOnlyHint": not spec.writes, "openWorldHint": spec.egress}
    return {"name": spec.name, "description": spec.description, "inputSchema": dict(spec.parameters), "annotations": hints}


COMMON: dict[str, Method] = {"tools/list": list_tools, "tools/call": call_tool}
BY_HANDSHAKE: dict[str, Method] = COMMON | {"initialize": initialize, "ping": ping}
BY_ENVELOPE: dict[str, Method] = COMMON | {"server/discover": discover}
CACHEABLE = {"tools/list", "server/discover"}
