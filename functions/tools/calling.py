"""Calling a tool for somebody who names it and its arguments, without a model in between."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from functions.tools.desk import Desk
from functions.tools.errors import ToolDisabled
from parley import limits
from parley.auth.principal import Principal
from parley.db.scope import principal_scope
from parley.errors import InvalidInput, NotFound
from parley.limits import Payer
from parley.tools.checking import faults
from parley.tools.outcome import Outcome
from parley.tools.spec import LONGEST_TIMEOUT_S


class ArgumentsDoNotFit(InvalidInput):
    """The arguments are not what the tool's schema asks for."""

    public_message = "The arguments do not fit the tool's schema."


def invoke(desk: Desk, principal: Principal, name: str, arguments: Mapping[str, Any]) -> Outcome:
    """Run a tool. Raises NotFound, ToolDisabled, ArgumentsDoNotFit and RateLimited; the tool's own failures are outcomes."""
    box = desk.toolbox(principal)
    tool = next((one for one in box.all if one.spec.name == name), None)
    if tool is None:
        raise NotFound("tool", name)
    if not tool.is_enabled:
        raise ToolDisabled(name)
    check(tool.spec.parameters, arguments)
    count(desk, principal)
    return box.run(name, arguments, timeout_s=LONGEST_TIMEOUT_S)


def check(parameters: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    """Raise ArgumentsDoNotFit, with the place of every fault, unless the arguments fit."""
    if found := faults(parameters, arguments):
        error = ArgumentsDoNotFit(found[0].msg, loc=("body", "arguments", *found[0].path))
        error.errors = [{"loc": ["body", "arguments", *fault.path], "msg": fault.msg} for fault in found]
        raise error


def count(desk: Desk, principal: Principal) -> None:
    """Count a call among the user's requests of this minute, or raise RateLimited. It costs no money."""
    payer = Payer(principal.user_id, principal.api_key_id)
    with principal_scope(desk.engine, principal) as connection:
        limits.admit(connection, payer, desk.allowance, amount_usd=Decimal(0))
