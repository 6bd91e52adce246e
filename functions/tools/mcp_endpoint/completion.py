"""Completion of arguments: the user's documents and conversations that a prompt or a resource address can name."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from functions.tools.mcp_endpoint.jsonrpc import INVALID_PARAMS, RpcError
from functions.tools.mcp_endpoint.prompt_library import complete_from_library
from functions.tools.mcp_endpoint.prompts import MAX_ARGUMENT_LENGTH, find_library_prompt, find_prompt, titled_id
from functions.tools.mcp_endpoint.resources import kind_of_template
from functions.tools.services import ToolsServices
from parley.auth.principal import Principal
from parley.db import conversations, documents
from parley.db.transactions import principal_scope
from parley.http.paging import PAGE_BYTES

# The protocol's own limit for one response.
MAX_VALUES = 100

type Params = Mapping[str, Any]


def complete(services: ToolsServices, principal: Principal, params: Params) -> dict[str, Any]:
    """Return at most 100 values for an argument, newest first.

    The typed text is part of a title, or the beginning of an id or of a choice. A prompt's argument is completed to a title with its id,
    the variable of a resource template to an id, and the argument of a prompt of the library to one of its choices. Arguments of free
    text have no values. Raises RpcError for an unknown prompt, template or argument.
    """
    reference, argument = params.get("ref"), params.get("argument")
    if not isinstance(reference, dict) or not isinstance(argument, dict):
        raise RpcError(INVALID_PARAMS, "ref and argument are required.")
    typed = argument.get("value")
    if not isinstance(typed, str) or len(typed) > MAX_ARGUMENT_LENGTH:
        raise RpcError(INVALID_PARAMS, f"argument.value must be a string of at most {MAX_ARGUMENT_LENGTH} characters.")
    is_template = reference.get("type") == "ref/resource"
    if not is_template and (stored := find_library_prompt(services, principal, reference.get("name"))):
        return {"completion": {"values": complete_from_library(stored, argument.get("name"), typed)[:MAX_VALUES], "hasMore": False}}
    kind = _kind_in_template(principal, reference, argument) if is_template else _kind_in_prompt(principal, reference, argument)
    found, has_more = _find(services, principal, kind, typed) if kind else ([], False)
    values = [str(id) if is_template else titled_id(title, id) for title, id in found]
    return {"completion": {"values": values, "hasMore": has_more}}


def _kind_in_prompt(principal: Principal, reference: Params, argument: Params) -> str | None:
    """Return the kind of resource that the argument names, or None for free text."""
    prompt = find_prompt(reference.get("name"), principal)
    if argument.get("name") != prompt.argument:
        raise RpcError(INVALID_PARAMS, f"The prompt {prompt.name} has the argument {prompt.argument} only.")
    return prompt.scope if prompt.resource else None


def _kind_in_template(principal: Principal, reference: Params, argument: Params) -> str:
    kind = kind_of_template(reference.get("uri"), principal)
    if kind is None or argument.get("name") != "id":
        raise RpcError(INVALID_PARAMS, "There is no such resource template, or its variable is not id.")
    return kind


def _find(services: ToolsServices, principal: Principal, kind: str, typed: str) -> tuple[list[tuple[str, UUID]], bool]:
    """Return titles with ids, and whether there are more."""
    user_id = principal.user_id
    with principal_scope(services.engine, principal) as connection:
        if kind == "documents":
            found = documents.page(connection, user_id=user_id, limit=MAX_VALUES + 1, after=None, matching=typed)
            readable = [(one.title, one.id) for one in found[:MAX_VALUES] if one.status == "ready"]
            return readable, len(found) > MAX_VALUES
        page = conversations.page(connection, user_id=user_id, limit=MAX_VALUES, max_bytes=PAGE_BYTES, after=None, matching=typed)
        return [(one.title or "Untitled", one.id) for one in page.rows], page.has_more
