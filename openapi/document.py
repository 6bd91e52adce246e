"""The document: what FastAPI knows of the routes, and what the template and the errors add to it."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from local.template.load import load
from local.template.stack import GatewayResponse
from openapi.errors import (
    OPENAI_ERROR,
    PROBLEM,
    all_errors,
    error_response,
    function_errors,
    gateway_errors,
    openai_errors,
    uses_openai_format,
)
from openapi.functions import HttpFunction, http_functions, operation_name
from parley import __version__

INTRODUCTION = (
    "JSON in and out. Ids are UUIDs, times are RFC 3339 in UTC. Lists come in pages: `limit`, `cursor` and `next_cursor`. "
    "Errors are problem documents (RFC 9457) with a stable `code`. Every answer has an `X-Request-Id`. "
    "Guarded operations want `Authorization: Bearer` with an access token of `POST /auth/login`, or with an API key where they allow one."
)

BEARER = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token, or an API key"}
FRAMEWORK_SCHEMAS = ("HTTPValidationError", "ValidationError")


def build(template: Path) -> dict[str, Any]:
    """Return the OpenAPI document of every function that the template routes to."""
    stack = load(template, overrides={})
    functions = list(http_functions(stack))
    document = _fastapi_document(functions)
    shared: dict[str, Any] = {}
    for function in functions:
        for route in function.routes:
            for method in route.methods or ():
                operation = document["paths"][route.path][method.lower()]
                _complete_operation(operation, route, function, is_guarded=operation_name(method, route.path) in function.guarded)
                add = _add_openai_errors if uses_openai_format(route.path) else _add_errors
                add(operation, function, stack.api.responses, shared)
    components = document.setdefault("components", {})
    components["schemas"] = _own_schemas(components.get("schemas", {}))
    return document | {"components": components | {"responses": dict(sorted(shared.items())), "securitySchemes": {"bearer": BEARER}}}


def _fastapi_document(functions: Iterable[HttpFunction]) -> dict[str, Any]:
    found: dict[str, Any] = get_openapi(
        title="Parley",
        version=__version__,
        description=INTRODUCTION,
        routes=[route for function in functions for route in function.routes],
        tags=[{"name": function.name, "description": function.promise} for function in functions],
        servers=[{"url": "."}],  # beside this document, wherever the stage is
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    return found


def _complete_operation(operation: dict[str, Any], route: APIRoute, function: HttpFunction, *, is_guarded: bool) -> None:
    """Say whose it is, what it promises and who may call it."""
    promise, _, rest = operation.pop("description", "").partition("\n")
    operation |= {"tags": [function.name], "operationId": f"{function.name}_{route.name}", "summary": promise.removesuffix(".")}
    if rest.strip():
        operation["description"] = rest.strip()
    operation["security"] = [{"bearer": []}] if is_guarded else []
    for status, response in operation["responses"].items():
        if response["description"] == "Successful Response":
            response["description"] = HTTPStatus(int(status)).phrase


def _add_errors(operation: dict[str, Any], function: HttpFunction, gateway: Mapping[str, GatewayResponse], shared: dict[str, Any]) -> None:
    is_guarded = bool(operation["security"])
    found = all_errors(operation, gateway, is_guarded=is_guarded, has_database=function.has_database)
    for status, codes in found.items():
        content = operation["responses"].get(str(status), {}).get("content", {})
        if "application/json" in content and status != HTTPStatus.UNPROCESSABLE_CONTENT:  # 422: the framework's own, never sent
            content |= error_response(status, codes)["content"]
            continue
        name = f"{status}_{'_'.join(sorted(codes))}"
        shared[name] = error_response(status, codes)
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/{name}"}
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _add_openai_errors(
    operation: dict[str, Any], function: HttpFunction, gateway: Mapping[str, GatewayResponse], shared: dict[str, Any]
) -> None:
    is_guarded = bool(operation["security"])
    ours = function_errors(operation, is_guarded=is_guarded, has_database=function.has_database)
    found = openai_errors(ours, gateway_errors(operation, gateway, is_guarded=is_guarded))
    responses = {status: response for status, response in operation["responses"].items() if int(status) < HTTPStatus.BAD_REQUEST}
    for status, described in found.items():
        name = f"openai_{operation['operationId']}_{status}"
        shared[name] = described
        responses[str(status)] = {"$ref": f"#/components/responses/{name}"}
    operation["responses"] = dict(sorted(responses.items()))


def _own_schemas(schemas: Mapping[str, Any]) -> dict[str, Any]:
    ours = {name: schema for name, schema in schemas.items() if name not in FRAMEWORK_SCHEMAS}
    return dict(sorted((ours | {"Problem": PROBLEM, "OpenAIError": OPENAI_ERROR}).items()))
