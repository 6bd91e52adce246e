"""A user's tools: change their settings, and call a tool by name without a model."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from functions.tools.errors import InvalidToolArguments, ToolDisabled
from functions.tools.services import ToolsServices
from parley.auth.client_origin import ClientOrigin
from parley.auth.principal import Principal
from parley.db import tool_settings
from parley.db.accounts import audit
from parley.db.transactions import principal_scope
from parley.errors import NotFound, untrusted
from parley.metering import limits
from parley.metering.limits import BillingSubject
from parley.tools.outcome import ToolOutcome
from parley.tools.spec import MAX_TIMEOUT_S
from parley.tools.toolbox import OfferedTool, Toolbox, with_setting


def run_tool(services: ToolsServices, principal: Principal, name: str, arguments: Mapping[str, Any]) -> ToolOutcome:
    """Run a tool and return its outcome, whether it succeeds or fails.

    Raises NotFound, ToolDisabled, InvalidToolArguments and RateLimited.
    """
    toolbox = services.toolbox(principal)
    tool = _find_tool(toolbox, name)
    if not tool.is_enabled:
        raise ToolDisabled(untrusted(name))
    # Count the call before the arguments are checked, because the check takes time too.
    count_call(services, principal)
    outcome = toolbox.run(name, arguments, timeout_s=MAX_TIMEOUT_S)
    _raise_argument_errors(outcome)
    return outcome


def change_settings(
    services: ToolsServices, principal: Principal, name: str, changes: dict[str, bool | None], origin: ClientOrigin
) -> OfferedTool:
    """Change the user's settings of a tool and return the tool with its new settings. Raises NotFound."""
    tool = _find_tool(services.toolbox(principal), name)
    # The name of an MCP server's tool is a text of its user or of the server.
    named = {} if "." in name else {"tool": name}
    with principal_scope(services.engine, principal) as connection:
        setting = tool_settings.change(connection, name, user_id=principal.user_id, changes=changes)
        audit.record_own(connection, principal.user_id, "tool_settings_changed", origin, changes=changes, **named)
    return with_setting(tool.spec, setting)


def count_call(services: ToolsServices, principal: Principal) -> None:
    """Count a tool call toward the user's requests per minute, or raise RateLimited. A call costs no money."""
    billing_subject = BillingSubject(principal.user_id, principal.api_key_id)
    with principal_scope(services.engine, principal) as connection:
        limits.admit(connection, billing_subject, services.default_limits, amount_usd=Decimal(0))


def _raise_argument_errors(outcome: ToolOutcome) -> None:
    """Raise InvalidToolArguments, with the location of every error, if the tool did not run because of its arguments."""
    if errors := outcome.argument_errors:
        error = InvalidToolArguments(errors[0].msg, loc=("body", "arguments"), evidence="do not match the tool's schema")
        error.errors = [{"loc": ["body", "arguments", *fault.path], "msg": fault.msg} for fault in errors]
        raise error


def _find_tool(toolbox: Toolbox, name: str) -> OfferedTool:
    tool = next((tool for tool in toolbox.all if tool.spec.name == name), None)
    if tool is None:
        raise NotFound("tool", name)
    return tool
