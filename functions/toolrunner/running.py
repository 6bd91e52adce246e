"""One run of a tool: whatever it does, there is an answer, or the process ends."""

import asyncio
import inspect
import traceback
from typing import Any

from pydantic import ValidationError

from functions.toolrunner.orders import RunOrder
from functions.toolrunner.output import Unwritable, as_text, cut
from functions.toolrunner.registry import Registry
from functions.toolrunner.watchdog import at_most
from parley.errors import ParleyError
from parley.observability import logger, redact
from parley.tools.guarded_http.client import GuardedHttp
from parley.tools.spec import Tool, ToolContext


def run(registry: Registry, order: RunOrder, http: GuardedHttp) -> dict[str, Any]:
    """Run the tool and return `{"ok", "content"}`; where it failed, `content` says why in words for the model."""
    tool = registry.find(order.name)
    if tool is None:
        return _failed(f"There is no tool {order.name}.")
    try:
        with at_most(min(order.timeout_s, tool.spec.timeout_s)):
            return {"ok": True, "content": as_text(_output(tool, order, ToolContext(order.user_id, http)))}
    except ParleyError as exc:
        logger.info("a tool has no answer", tool=order.name, reason=str(exc))
        return _failed(exc.public_message)
    except ValidationError as exc:
        return _failed(f"The arguments are not what {order.name} takes: {_places(exc)}.")
    except Unwritable as exc:
        return _failed(f"The tool's output cannot be used: {exc}.")
    except (Exception, SystemExit) as exc:
        # Where, and not what: an exception's words may be the user's.
        logger.warning("a tool failed", tool=order.name, error=type(exc).__name__, where=traceback.format_tb(exc.__traceback__))
        return _failed(redact(f"The tool failed ({type(exc).__name__}: {exc})."))


def _output(tool: Tool, order: RunOrder, call: ToolContext) -> Any:
    output = tool.run(order.arguments, call)
    return asyncio.run(_awaited(output)) if inspect.isawaitable(output) else output


async def _awaited(output: Any) -> Any:
    return await output


def _failed(reason: str) -> dict[str, Any]:
    return {"ok": False, "content": cut(reason, limit=2000)}


def _places(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False, include_url=False)[:5])
