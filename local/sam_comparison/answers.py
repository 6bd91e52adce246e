"""A function's answer in one comparable form: the same for both carriers, with ids, times and tokens masked."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import unified_diff
from typing import Any

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"

_MASKS = [
    (re.compile(pattern), mask)
    for pattern, mask in (
        (r"\beyJ[\w-]+\.[\w-]+\.[\w-]+", "<access token>"),
        (r"\bprt_[\w-]+", "<refresh token>"),
        (rf"\b{_UUID}\b", "<id>"),
        (_TIME, "<time>"),
        (r'("(?:exp|iat|\w+_ms)": ?"?)\d[\d.]*', r"\1<number>"),
        # A public key's own numbers.
        (r'("(?:kid|n|x|y)": ?)"[\w-]{8,}"', r'\1"<key>"'),
        # Where a form goes, and what was signed of it at that moment.
        (r'"(upload_url|policy|x-amz-(?:date|credential|signature))": ?"[^"]*"', r'"\1": "<signed>"'),
        # The name of a key in the store.
        (r'"(signing|api)/[\w-]{8,}"', r'"\1/<key>"'),
    )
]

_VARYING_HEADERS = {"content-length"}


@dataclass(frozen=True)
class FunctionAnswer:
    """An HTTP answer; or, with a word for its status, a plain value or a function's failure."""

    status: str
    body: str
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_answer(payload: Any) -> FunctionAnswer:
    """Return the answer in a function's result: a proxy result, a stream's prelude with its body, an error object, or a value."""
    if isinstance(payload, dict) and "statusCode" in payload:
        return FunctionAnswer(str(payload["statusCode"]), _answer_body(payload), _answer_headers(payload))
    if isinstance(payload, dict) and "errorMessage" in payload:
        # The rest of an error object tells paths and ids of where it ran.
        return FunctionAnswer("failed", f"{payload.get('errorType')}: {payload['errorMessage']}")
    return FunctionAnswer("value", json.dumps(payload))


def _answer_headers(payload: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    single = {name: [value] for name, value in (payload.get("headers") or {}).items()}
    merged = {**single, **(payload.get("multiValueHeaders") or {})}
    return {name.lower(): tuple(map(str, values)) for name, values in merged.items()}


def _answer_body(payload: dict[str, Any]) -> str:
    body = payload.get("body") or ""
    return base64.b64decode(body).decode(errors="replace") if payload.get("isBase64Encoded") else body


def comparable_text(answer: FunctionAnswer, known: Mapping[str, str]) -> str:
    """Return the answer as text without what differs from call to call; `known` names the values that keep a meaning."""
    headers = [f"{name}: {_masked_header(name, value)}" for name, values in sorted(answer.headers.items()) for value in values]
    text = "\n".join([answer.status, *headers, "", _indented_json(answer.body)])
    for value, name in known.items():
        text = text.replace(value, f"<{name}>")
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text


def difference(parley: str, sam: str) -> str:
    """Return the unified diff of two portraits; empty if they are equal."""
    lines = unified_diff(parley.splitlines(), sam.splitlines(), "parley invoke", "sam local invoke", lineterm="")
    return "\n".join(lines)


def _masked_header(name: str, value: str) -> str:
    return "<number>" if name in _VARYING_HEADERS else value


def _indented_json(body: str) -> str:
    """Return a JSON body with a line for each value, and any other as it is."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
