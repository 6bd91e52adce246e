"""A user's tools: change their settings, and call one by name without a model in between."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from functions.tools.errors import ToolDisabled
from functions.tools.services import ToolsServices
from parley.auth.principal import Principal
from parley.db import tool_settings
from parley.db.transactions import principal_scope
from parley.errors import InvalidInput, NotFound
from parley.metering import limits
from parley.metering.limits import BillingSubject
from parley.tools.arguments import argument_errors
from parley.tools.outcome import ToolOutcome
from parley.tools.spec import MAX_TIMEOUT_S
from parley.tools.toolbox import OfferedTool, with_setting


class InvalidToolArguments(InvalidInput):
    """The arguments are not what the tool's schema asks for."""

    public_message = "The arguments do not fit the tool's schema."


def run_tool(services: ToolsServices, principal: Principal, name: str, arguments: Mapping[str, Any]) -> ToolOutcome:
    """Run a tool. Raises NotFound, ToolDisabled, ArgumentsDoNotFit and RateLimited; the tool's own failures are outcomes."""
    box = services.toolbox(principal)
    tool = next((one for one in box.all if one.spec.name == name), None)
    if tool is None:
        raise NotFound("tool", name)
    if not tool.is_enabled:
        raise ToolDisabled(name)
    check_arguments(tool.spec.parameters, arguments)
    count_call(services, principal)
    return box.run(name, arguments, timeout_s=MAX_TIMEOUT_S)


def check_arguments(parameters: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    """Raise ArgumentsDoNotFit, with the place of every fault, unless the arguments fit."""
    if found := argument_errors(parameters, arguments):
        error = InvalidToolArguments(found[0].msg, loc=("body", "arguments", *found[0].path))
        error.errors = [{"loc": ["body", "arguments", *fault.path], "msg": fault.msg} for fault in found]
        raise error


def count_call(services: ToolsServices, principal: Principal) -> None:
    """Count a call among the user's requests of this minute, or raise RateLimited. It costs no money."""
    billing_subject = BillingSubject(principal.user_id, principal.api_key_id)
    with principal_scope(services.engine, principal) as connection:
        limits.admit(connection, billing_subject, services.default_limits, amount_usd=Decimal(0))


def change_settings(services: ToolsServices, principal: Principal, name: str, changes: dict[str, bool | None]) -> OfferedTool:
    """Set what is given and return the tool as it is then, or raise NotFound."""
    tool = next((one for one in services.toolbox(principal).all if one.spec.name == name), None)
    if tool is None:
        raise NotFound("tool", name)
    with principal_scope(services.engine, principal) as connection:
        setting = tool_settings.change(connection, name, user_id=principal.user_id, changes=changes)
    return with_setting(tool.spec, setting)
