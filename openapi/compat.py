"""Errors of the routes for OpenAI's clients: our own in OpenAI's form, the gateway's as everywhere."""

from collections.abc import Mapping
from typing import Any

from functions.chat.openai_api.errors import PREFIX, openai_error_type
from openapi.refusals import Codes, answer, described

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


def in_openais_words(path: str) -> bool:
    """Whether our own errors of this path have OpenAI's form."""
    return path.startswith(PREFIX)


def openai_refusals(ours: Codes, gateways: Codes) -> dict[int, dict[str, Any]]:
    """Describe the answer of each status; one that both know has two forms."""
    reworded = _reworded(ours)
    return {status: _answer(status, reworded.get(status, {}), gateways.get(status, {})) for status in sorted({*reworded, *gateways})}


def _reworded(codes: Codes) -> Codes:
    found: Codes = {}
    for status, meanings in codes.items():
        for code, meaning in meanings.items():
            theirs, _, word = openai_error_type(status, code)
            found.setdefault(theirs, {})[word] = meaning
    return found


def _answer(status: int, ours: Mapping[str, str], gateways: Mapping[str, str]) -> dict[str, Any]:
    both = answer(status, {**gateways, **ours})
    forms = answer(status, gateways)["content"] if gateways else {}
    if ours:
        narrowed = {"properties": {"error": {"properties": {"code": {"enum": sorted(ours)}}}}}
        forms = {"application/json": {"schema": {"allOf": [{"$ref": "#/components/schemas/OpenAIError"}, narrowed]}}} | forms
    return both | {"description": described({**gateways, **ours}), "content": forms}
