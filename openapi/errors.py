"""The errors that an operation may answer with: the function's own and the gateway's, with their codes.

Routes for OpenAI's clients give the function's errors in OpenAI's format; the gateway's keep their format everywhere.
"""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from functions.chat.openai_api.errors import PREFIX, openai_error_type
from local.template.stack import GatewayResponse
from parley.errors import BodyTooLarge, Forbidden, InvalidInput, MalformedBody, NotFound, ParleyError, Unauthorized, Unavailable
from parley.http.problems import CODES_EXTENSION, MEDIA_TYPE, error_responses

type Codes = dict[int, dict[str, str]]  # status -> code -> what it means
GATEWAY = ("THROTTLED", "DEFAULT_5XX", "INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT")
GATEWAY_GUARDED = ("UNAUTHORIZED", "ACCESS_DENIED", "AUTHORIZER_FAILURE")
GATEWAY_WITH_BODY = ("BAD_REQUEST_BODY", "REQUEST_TOO_LARGE")
RETRYABLE_STATUSES = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
RETRY_AFTER_HEADER = {"Retry-After": {"description": "Seconds to wait", "required": True, "schema": {"type": "integer", "minimum": 1}}}

PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "An error (RFC 9457). `code` is a stable word; `errors` names the places of a 422.",
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
    "description": "An error as OpenAI's clients read it.",
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
    """Return every status and code that this operation may refuse with, the gateway's among them."""
    ours = function_errors(operation, is_guarded=is_guarded, has_database=has_database)
    return _merge_codes(ours, gateway_errors(operation, gateway, is_guarded=is_guarded))


def function_errors(operation: Mapping[str, Any], *, is_guarded: bool, has_database: bool) -> Codes:
    """Return what the function itself may refuse with."""
    has_body = "requestBody" in operation
    places = {parameter["in"] for parameter in operation.get("parameters", ())}
    ours: list[type[ParleyError]] = [Unauthorized, Forbidden] if is_guarded else []
    ours += [MalformedBody, BodyTooLarge] if has_body else []
    ours += [InvalidInput] if has_body or places else []
    ours += [NotFound] if "path" in places else []
    ours += [Unavailable] if has_database else []
    return _merge_codes(_declared_codes(error_responses(*ours)), _declared_codes(operation["responses"]))


def gateway_errors(operation: Mapping[str, Any], gateway: Mapping[str, GatewayResponse], *, is_guarded: bool) -> Codes:
    """Return what the gateway may refuse with before the function is asked."""
    has_body = "requestBody" in operation
    kinds = GATEWAY + (GATEWAY_GUARDED if is_guarded else ()) + (GATEWAY_WITH_BODY if has_body else ())
    return _gateway_codes(gateway[kind] for kind in kinds)


def error_response(status: int, codes: Mapping[str, str]) -> dict[str, Any]:
    """Describe the answer of this status, whose code is one of these."""
    narrowed = {"properties": {"status": {"const": status}, "code": {"enum": sorted(codes)}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]}
    found: dict[str, Any] = {"description": describe_codes(codes), "content": {MEDIA_TYPE: {"schema": schema}}}
    if status in RETRYABLE_STATUSES:
        found["headers"] = RETRY_AFTER_HEADER
    return found


def describe_codes(codes: Mapping[str, str]) -> str:
    """Say what each code means."""
    return " ".join(f"`{code}`: {meaning}" for code, meaning in sorted(codes.items()))


def _declared_codes(responses: Mapping[Any, Mapping[str, Any]]) -> Codes:
    return {int(status): dict(response[CODES_EXTENSION]) for status, response in responses.items() if CODES_EXTENSION in response}


def _gateway_codes(responses: Iterable[GatewayResponse]) -> Codes:
    found: Codes = {}
    for response in responses:
        body = str(response.body)
        said = dict(re.findall(r'"(title|detail|code)":"([^"]+)"', body))
        found.setdefault(int(response.status or 0), {})[said["code"]] = said.get("detail", f"{said['title']}, says the gateway.")
    return found


def _merge_codes(*several: Codes) -> Codes:
    """Join them; of two meanings of one code the first stands."""
    merged: Codes = {}
    for codes in several:
        for status, meanings in codes.items():
            merged[status] = meanings | merged.get(status, {})
    return dict(sorted(merged.items()))


def uses_openai_format(path: str) -> bool:
    """Whether our own errors of this path have OpenAI's form."""
    return path.startswith(PREFIX)


def openai_errors(ours: Codes, gateways: Codes) -> dict[int, dict[str, Any]]:
    """Describe the answer of each status; one that both know has two forms."""
    reworded = _translate_codes(ours)
    return {
        status: _openai_response(status, reworded.get(status, {}), gateways.get(status, {})) for status in sorted({*reworded, *gateways})
    }


def _translate_codes(codes: Codes) -> Codes:
    found: Codes = {}
    for status, meanings in codes.items():
        for code, meaning in meanings.items():
            theirs, _, word = openai_error_type(status, code)
            found.setdefault(theirs, {})[word] = meaning
    return found


def _openai_response(status: int, ours: Mapping[str, str], gateways: Mapping[str, str]) -> dict[str, Any]:
    both = error_response(status, {**gateways, **ours})
    forms = error_response(status, gateways)["content"] if gateways else {}
    if ours:
        narrowed = {"properties": {"error": {"properties": {"code": {"enum": sorted(ours)}}}}}
        forms = {"application/json": {"schema": {"allOf": [{"$ref": "#/components/schemas/OpenAIError"}, narrowed]}}} | forms
    return both | {"description": describe_codes({**gateways, **ours}), "content": forms}
