"""The user's own and shared prompts as MCP prompts: their variables are the arguments."""

from typing import Any

from functions.tools.mcp_endpoint.jsonrpc import INVALID_PARAMS, RpcError
from functions.tools.services import ToolsServices
from parley.auth.principal import Principal
from parley.db.assistants import prompts
from parley.db.assistants.prompts import Prompt
from parley.db.transactions import principal_scope
from parley.errors import InvalidInput
from parley.http.paging import PAGE_BYTES, items_within
from parley.prompt_template import TemplateVariable, fill, find_variables

# As many as a user may have. Any other prompt can still be got by its name.
MAX_LISTED = 200


def describe_library(services: ToolsServices, principal: Principal) -> list[dict[str, Any]]:
    """Return the descriptions of the user's own prompts and of those shared, one for each name that means one prompt."""
    by_name: dict[str, list[Prompt]] = {}
    for prompt in _usable(services, principal, name=None):
        by_name.setdefault(prompt.name, []).append(prompt)
    meant = [_meant(same_name, principal) for same_name in by_name.values()]
    return items_within(PAGE_BYTES, list(filter(None, meant)), _describe)


def find_in_library(services: ToolsServices, principal: Principal, name: str) -> Prompt | None:
    """Return the prompt that the name means to the user, or None."""
    found = _usable(services, principal, name=name) if "\0" not in name else []
    return _meant(found, principal)


def fill_from_library(prompt: Prompt, arguments: object) -> dict[str, Any]:
    """Return the message of a prompt with these arguments. Raises RpcError for an invalid argument."""
    if not isinstance(arguments, dict) or not all(isinstance(value, str) for value in arguments.values()):
        raise RpcError(INVALID_PARAMS, "arguments must be an object of strings.")
    try:
        text = fill(prompt.text, arguments)
    except InvalidInput as exc:
        error = exc.errors[0]
        raise RpcError(INVALID_PARAMS, f"{error['loc'][-1]}: {error['msg']}") from exc
    return {"description": prompt.description or "", "messages": [{"role": "user", "content": {"type": "text", "text": text}}]}


def complete_from_library(prompt: Prompt, argument: object, typed: str) -> list[str]:
    """Return the choices of an argument that begin with the typed text. Raises RpcError for an argument that the prompt does not have."""
    variable = next((each for each in find_variables(prompt.text) if each.name == argument), None)
    if variable is None:
        raise RpcError(INVALID_PARAMS, f"The prompt {prompt.name} has no such argument.")
    return [choice for choice in variable.choices if choice.casefold().startswith(typed.casefold())]


def _usable(services: ToolsServices, principal: Principal, *, name: str | None) -> list[Prompt]:
    if "conversations" not in principal.scopes:
        return []
    with principal_scope(services.engine, principal) as connection:
        return prompts.preferred(connection, user_id=principal.user_id, limit=MAX_LISTED, name=name)


def _meant(same_name: list[Prompt], principal: Principal) -> Prompt | None:
    """Of prompts with one name, return the user's own, else the only one that is shared with everybody, else the only one of groups.

    None if several compete, because a member of a group must not replace a prompt in use by one with the same name.
    """
    own = [prompt for prompt in same_name if prompt.user_id == principal.user_id]
    candidates = own or [prompt for prompt in same_name if prompt.is_shared] or same_name
    return candidates[0] if len(candidates) == 1 else None


def _describe(prompt: Prompt) -> dict[str, Any]:
    arguments = [_describe_variable(variable) for variable in find_variables(prompt.text)]
    return {"name": prompt.name, "title": prompt.name, "description": prompt.description or "", "arguments": arguments}


def _describe_variable(variable: TemplateVariable) -> dict[str, Any]:
    kind = f"One of: {', '.join(variable.choices)}" if variable.choices else f"A {variable.type}"
    return {"name": variable.name, "description": kind, "required": True}
