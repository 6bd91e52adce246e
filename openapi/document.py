"""Build the OpenAPI document: FastAPI's description of the routes, completed from the template and the declared errors."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from local.template.load import load
from local.template.stack import GatewayResponse
from openapi.errors import (
    ANTHROPIC_ERROR,
    OPENAI_ERROR,
    PROBLEM,
    SCIM_ERROR,
    ErrorFormat,
    all_errors,
    error_format,
    error_response,
    function_errors,
    gateway_errors,
    vendor_errors,
)
from openapi.functions import HttpFunction, http_functions, operation_name
from parley import __version__

INTRODUCTION = (
    "Requests and responses are JSON. Ids are UUIDs, times are RFC 3339 in UTC. Lists are paged: `limit`, `cursor` and `next_cursor`. "
    "Errors are problem documents (RFC 9457) with a stable `code`. Every response has an `X-Request-Id`. "
    "Guarded operations require `Authorization: Bearer` with an access token of `POST /auth/login`, or with an API key if they allow one."
)

BEARER = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token, or an API key"}
FRAMEWORK_SCHEMAS = ("HTTPValidationError", "ValidationError")


def build(template: Path) -> dict[str, Any]:
    """Return the OpenAPI document of all functions behind the template's routes."""
    stack = load(template, overrides={})
    functions = list(http_functions(stack))
    document = _fastapi_document(functions)
    shared: dict[str, Any] = {}
    for function in functions:
        for route in function.routes:
            for method in route.methods or ():
                operation = document["paths"][route.path][method.lower()]
                _complete_operation(operation, route, function, is_guarded=operation_name(method, route.path) in function.guarded)
                if vendor := error_format(route.path):
                    _add_vendor_errors(operation, function, stack.api.responses, shared, vendor)
                else:
                    _add_errors(operation, function, stack.api.responses, shared)
    components = document.setdefault("components", {})
    components["schemas"] = _own_schemas(components.get("schemas", {}))
    return document | {"components": components | {"responses": dict(sorted(shared.items())), "securitySchemes": {"bearer": BEARER}}}


def _fastapi_document(functions: Iterable[HttpFunction]) -> dict[str, Any]:
    document: dict[str, Any] = get_openapi(
        title="Parley",
        version=__version__,
        description=INTRODUCTION,
        routes=[route for function in functions for route in function.routes],
        tags=[{"name": function.name, "description": function.description} for function in functions],
        servers=[{"url": "."}],  # relative to this document, whatever the stage
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    return document


def _complete_operation(operation: dict[str, Any], route: APIRoute, function: HttpFunction, *, is_guarded: bool) -> None:
    """Set the operation's tag, id, summary, description and security; the summary is the docstring's first line."""
    summary, _, rest = operation.pop("description", "").partition("\n")
    operation |= {"tags": [function.name], "operationId": f"{function.name}_{route.name}", "summary": summary.removesuffix(".")}
    if rest.strip():
        operation["description"] = rest.strip()
    operation["security"] = [{"bearer": []}] if is_guarded else []
    for status, response in operation["responses"].items():
        if response["description"] == "Successful Response":
            response["description"] = HTTPStatus(int(status)).phrase


def _add_errors(operation: dict[str, Any], function: HttpFunction, gateway: Mapping[str, GatewayResponse], shared: dict[str, Any]) -> None:
    is_guarded = bool(operation["security"])
    errors = all_errors(operation, gateway, is_guarded=is_guarded, has_database=function.has_database)
    for status, codes in errors.items():
        content = operation["responses"].get(str(status), {}).get("content", {})
        if (
            "application/json" in content and status != HTTPStatus.UNPROCESSABLE_CONTENT
        ):  # FastAPI declares its own 422, which is never sent
            content |= error_response(status, codes)["content"]
            continue
        name = f"{status}_{'_'.join(sorted(codes))}"
        shared[name] = error_response(status, codes)
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/{name}"}
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _add_vendor_errors(
    operation: dict[str, Any], function: HttpFunction, gateway: Mapping[str, GatewayResponse], shared: dict[str, Any], vendor: ErrorFormat
) -> None:
    is_guarded = bool(operation["security"])
    ours = function_errors(operation, is_guarded=is_guarded, has_database=function.has_database)
    errors = vendor_errors(ours, gateway_errors(operation, gateway, is_guarded=is_guarded), vendor)
    responses = {status: success for status, success in operation["responses"].items() if int(status) < HTTPStatus.BAD_REQUEST}
    for status, response in errors.items():
        name = f"{vendor.name}_{operation['operationId']}_{status}"
        shared[name] = response
        responses[str(status)] = {"$ref": f"#/components/responses/{name}"}
    operation["responses"] = dict(sorted(responses.items()))


def _own_schemas(schemas: Mapping[str, Any]) -> dict[str, Any]:
    ours = {name: schema for name, schema in schemas.items() if name not in FRAMEWORK_SCHEMAS}
    formats = {"Problem": PROBLEM, "OpenAIError": OPENAI_ERROR, "AnthropicError": ANTHROPIC_ERROR, "ScimError": SCIM_ERROR}
    return dict(sorted((ours | formats).items()))
