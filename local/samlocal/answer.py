"""What a function answered, in one form whoever carried it."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; or, with a word for its status, a plain value or a function's failure."""

    status: str
    body: str
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_answer(payload: Any) -> Answer:
    """Return the answer in a function's result: a proxy result, a stream's prelude with its body, an error object, or a value."""
    if isinstance(payload, dict) and "statusCode" in payload:
        return Answer(str(payload["statusCode"]), _body(payload), _headers(payload))
    if isinstance(payload, dict) and "errorMessage" in payload:
        # The rest of an error object tells paths and ids of where it ran.
        return Answer("failed", f"{payload.get('errorType')}: {payload['errorMessage']}")
    return Answer("value", json.dumps(payload))


def _headers(payload: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    single = {name: [value] for name, value in (payload.get("headers") or {}).items()}
    merged = {**single, **(payload.get("multiValueHeaders") or {})}
    return {name.lower(): tuple(map(str, values)) for name, values in merged.items()}


def _body(payload: dict[str, Any]) -> str:
    body = payload.get("body") or ""
    return base64.b64decode(body).decode(errors="replace") if payload.get("isBase64Encoded") else body
