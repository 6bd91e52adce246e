"""The error responses of an operation: the function's and the gateway's, with their codes.

Routes for OpenAI's and Anthropic's clients send the function's errors in the vendor's format. The gateway's errors have the same
format on all routes.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, get_args

from functions.auth.scim import errors as scim_errors
from functions.chat.anthropic_api import errors as anthropic_errors
from functions.chat.openai_api import errors as openai_errors
from local.template.stack import GatewayResponse
from parley.db.engine import DatabaseWaking
from parley.errors import (
    BodyTooLarge,
    Forbidden,
    InvalidInput,
    MalformedBody,
    NotFound,
    ParleyError,
    SecondFactorNeeded,
    Unauthorized,
    Unavailable,
)
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


ANTHROPIC_ERROR: dict[str, Any] = {
    "title": "AnthropicError",
    "description": "An error in Anthropic's format. `error_code` is stable.",
    "type": "object",
    "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message", "details"],
            "properties": {
                "type": {"type": "string"},
                "message": {"type": "string"},
                "details": {"type": "object", "required": ["error_code"], "properties": {"error_code": {"type": "string"}}},
            },
        },
        "request_id": {"type": "string"},
    },
}


SCIM_ERROR: dict[str, Any] = {
    "title": "ScimError",
    "description": "An error in SCIM's format (RFC 7644, 3.12).",
    "type": "object",
    "required": ["schemas", "status", "detail"],
    "properties": {
        "schemas": {"type": "array", "items": {"const": scim_errors.ERROR_SCHEMA}},
        "status": {"type": "string"},
        "detail": {"type": "string"},
        "scimType": {"enum": list(get_args(scim_errors.ScimType.__value__))},
    },
}


@dataclass(frozen=True)
class ErrorFormat:
    """A vendor's format of the function's errors. `translate` returns its status and code for our status and code.

    `narrow` returns the properties of the schema that contain one of these codes.
    """

    name: str
    schema: str
    translate: Callable[[int, str], tuple[int, str]]
    narrow: Callable[[Sequence[str]], dict[str, Any]]
    media_type: str = "application/json"


def _openai_codes(codes: Sequence[str]) -> dict[str, Any]:
    return {"error": {"properties": {"code": {"enum": codes}}}}


def _anthropic_codes(codes: Sequence[str]) -> dict[str, Any]:
    return {"error": {"properties": {"details": {"properties": {"error_code": {"enum": codes}}}}}}


def _no_codes(_codes: Sequence[str]) -> dict[str, Any]:
    return {}


def _scim_status_and_code(status: int, code: str) -> tuple[int, str]:
    return scim_errors.scim_status(status), code


def _openai_status_and_code(status: int, code: str) -> tuple[int, str]:
    vendor_status, _, vendor_code = openai_errors.openai_error_type(status, code)
    return vendor_status, vendor_code


def _anthropic_status_and_code(status: int, code: str) -> tuple[int, str]:
    return anthropic_errors.anthropic_error_type(status, code)[0], code


# By path, the more exact prefix first.
ERROR_FORMATS = {
    anthropic_errors.PREFIX: ErrorFormat("anthropic", "AnthropicError", _anthropic_status_and_code, _anthropic_codes),
    scim_errors.PREFIX: ErrorFormat("scim", "ScimError", _scim_status_and_code, _no_codes, scim_errors.MEDIA_TYPE),
    openai_errors.PREFIX: ErrorFormat("openai", "OpenAIError", _openai_status_and_code, _openai_codes),
}


def all_errors(operation: Mapping[str, Any], gateway: Mapping[str, GatewayResponse], *, is_guarded: bool, has_database: bool) -> Codes:
    """Return all errors of an operation, from the function and from the gateway."""
    ours = function_errors(operation, is_guarded=is_guarded, has_database=has_database)
    return _merge_codes(ours, gateway_errors(operation, gateway, is_guarded=is_guarded))


def function_errors(operation: Mapping[str, Any], *, is_guarded: bool, has_database: bool) -> Codes:
    """Return the errors of the function itself."""
    has_body = "requestBody" in operation
    locations = {parameter["in"] for parameter in operation.get("parameters", ())}
    ours: list[type[ParleyError]] = [Unauthorized, Forbidden, SecondFactorNeeded] if is_guarded else []
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


def error_format(path: str) -> ErrorFormat | None:
    """Return the vendor's format of the function's errors on this path, or None for problem documents."""
    return next((found for prefix, found in ERROR_FORMATS.items() if path.startswith(prefix)), None)


def vendor_errors(ours: Codes, gateways: Codes, vendor: ErrorFormat) -> dict[int, dict[str, Any]]:
    """Return the OpenAPI response of each status. A status that both the function and the gateway send has two formats."""
    translated = _translate_codes(ours, vendor)
    return {
        status: _vendor_response(status, translated.get(status, {}), gateways.get(status, {}), vendor)
        for status in sorted({*translated, *gateways})
    }


def _translate_codes(codes: Codes, vendor: ErrorFormat) -> Codes:
    found: Codes = {}
    for status, meanings in codes.items():
        for code, meaning in meanings.items():
            vendor_status, vendor_code = vendor.translate(status, code)
            found.setdefault(vendor_status, {})[vendor_code] = meaning
    return found


def _vendor_response(status: int, ours: Mapping[str, str], gateways: Mapping[str, str], vendor: ErrorFormat) -> dict[str, Any]:
    response = error_response(status, {**gateways, **ours})
    formats = error_response(status, gateways)["content"] if gateways else {}
    if ours:
        narrowed = {"properties": vendor.narrow(sorted(ours))}
        schema = {"allOf": [{"$ref": f"#/components/schemas/{vendor.schema}"}, narrowed]}
        formats = {vendor.media_type: {"schema": schema}} | formats
    return response | {"description": describe_codes({**gateways, **ours}), "content": formats}
