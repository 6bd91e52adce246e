"""The error responses of an operation: the function's and the gateway's, with their codes.

Routes for OpenAI's clients send the function's errors in OpenAI's format. The gateway's errors have the same format on all
routes.
"""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from functions.chat.openai_api.errors import PREFIX, openai_error_type
from local.template.stack import GatewayResponse
from parley.db.engine import DatabaseWaking
from parley.errors import BodyTooLarge, Forbidden, InvalidInput, MalformedBody, NotFound, ParleyError, Unauthorized, Unavailable
from parley.http.problems import CODES_EXTENSION, MEDIA_TYPE, error_responses

type Codes = dict[int, dict[str, str]]  # status -> code -> meaning
GATEWAY = ("THROTTLED", "DEFAULT_5XX", "INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT")
GATEWAY_GUARDED = ("UNAUTHORIZED", "ACCESS_DENIED", "AUTHORIZER_FAILURE")
GATEWAY_WITH_BODY = ("BAD_REQUEST_BODY", "REQUEST_TOO_LARGE")
RETRYABLE_STATUSES = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
RETRY_AFTER_HEADER = {"Retry-After": {"description": "Seconds to wait", "required": True, "schema": {"type": "integer", "minimum": 1}}}

PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "An error (RFC 9457). `code` is stable; `errors` lists the invalid fields of a 422.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["loc", "msg"],
                "properties": {"loc": {"type": "array", "items": {"type": ["string", "integer"]}}, "msg": {"type": "string"}},
            },
        },
    },
}

OPENAI_ERROR: dict[str, Any] = {
    "title": "OpenAIError",
    "description": "An error in OpenAI's format.",
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        }
    },
}


def all_errors(operation: Mapping[str, Any], gateway: Mapping[str, GatewayResponse], *, is_guarded: bool, has_database: bool) -> Codes:
    """Return all errors of an operation, from the function and from the gateway."""
    ours = function_errors(operation, is_guarded=is_guarded, has_database=has_database)
    return _merge_codes(ours, gateway_errors(operation, gateway, is_guarded=is_guarded))


def function_errors(operation: Mapping[str, Any], *, is_guarded: bool, has_database: bool) -> Codes:
    """Return the errors of the function itself."""
    has_body = "requestBody" in operation
    locations = {parameter["in"] for parameter in operation.get("parameters", ())}
    ours: list[type[ParleyError]] = [Unauthorized, Forbidden] if is_guarded else []
    ours += [MalformedBody, BodyTooLarge] if has_body else []
    ours += [InvalidInput] if has_body or locations else []
    ours += [NotFound] if "path" in locations else []
    ours += [Unavailable, DatabaseWaking] if has_database else []
    return _merge_codes(_declared_codes(error_responses(*ours)), _declared_codes(operation["responses"]))


def gateway_errors(operation: Mapping[str, Any], gateway: Mapping[str, GatewayResponse], *, is_guarded: bool) -> Codes:
    """Return the errors that the gateway sends instead of calling the function or instead of its response."""
    has_body = "requestBody" in operation
    kinds = GATEWAY + (GATEWAY_GUARDED if is_guarded else ()) + (GATEWAY_WITH_BODY if has_body else ())
    return _gateway_codes(gateway[kind] for kind in kinds)


def error_response(status: int, codes: Mapping[str, str]) -> dict[str, Any]:
    """Return the OpenAPI response for this status with any of these codes."""
    narrowed = {"properties": {"status": {"const": status}, "code": {"enum": sorted(codes)}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]}
    response: dict[str, Any] = {"description": describe_codes(codes), "content": {MEDIA_TYPE: {"schema": schema}}}
    if status in RETRYABLE_STATUSES:
        response["headers"] = RETRY_AFTER_HEADER
    return response


def describe_codes(codes: Mapping[str, str]) -> str:
    """Return the meanings of the codes as one text."""
    return " ".join(f"`{code}`: {meaning}" for code, meaning in sorted(codes.items()))


def _declared_codes(responses: Mapping[Any, Mapping[str, Any]]) -> Codes:
    return {int(status): dict(response[CODES_EXTENSION]) for status, response in responses.items() if CODES_EXTENSION in response}


def _gateway_codes(responses: Iterable[GatewayResponse]) -> Codes:
    found: Codes = {}
    for response in responses:
        body, _, _ = str(response.body).partition('"error":')  # the same error in OpenAI's format
        fields = dict(re.findall(r'"(title|detail|code)":"([^"]+)"', body))
        found.setdefault(int(response.status or 0), {})[fields["code"]] = fields.get("detail", f"{fields['title']} (from the gateway).")
    return found


def _merge_codes(*sources: Codes) -> Codes:
    """Merge errors; if a code has two meanings, the first wins."""
    merged: Codes = {}
    for codes in sources:
        for status, meanings in codes.items():
            merged[status] = meanings | merged.get(status, {})
    return dict(sorted(merged.items()))


def uses_openai_format(path: str) -> bool:
    """Return whether the function's errors on this path have OpenAI's format."""
    return path.startswith(PREFIX)


def openai_errors(ours: Codes, gateways: Codes) -> dict[int, dict[str, Any]]:
    """Return the OpenAPI response of each status. A status that both the function and the gateway send has two formats."""
    translated = _translate_codes(ours)
    return {
        status: _openai_response(status, translated.get(status, {}), gateways.get(status, {}))
        for status in sorted({*translated, *gateways})
    }


def _translate_codes(codes: Codes) -> Codes:
    found: Codes = {}
    for status, meanings in codes.items():
        for code, meaning in meanings.items():
            openai_status, _, openai_code = openai_error_type(status, code)
            found.setdefault(openai_status, {})[openai_code] = meaning
    return found


def _openai_response(status: int, ours: Mapping[str, str], gateways: Mapping[str, str]) -> dict[str, Any]:
    response = error_response(status, {**gateways, **ours})
    formats = error_response(status, gateways)["content"] if gateways else {}
    if ours:
        narrowed = {"properties": {"error": {"properties": {"code": {"enum": sorted(ours)}}}}}
        formats = {"application/json": {"schema": {"allOf": [{"$ref": "#/components/schemas/OpenAIError"}, narrowed]}}} | formats
    return response | {"description": describe_codes({**gateways, **ours}), "content": formats}
