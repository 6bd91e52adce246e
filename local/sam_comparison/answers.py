"""A function's result as text that is comparable between the two tools: ids, times and tokens are masked."""

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
        (r"\bparley_eyJ[\w-]+\.[\w-]+\.[\w-]+", "<API key>"),
        (r"\beyJ[\w-]+\.[\w-]+\.[\w-]+", "<access token>"),
        (r"\bprt_[\w-]+", "<refresh token>"),
        (r"\bpcl_[\w-]+", "<client>"),
        (r'("token": ?)"[\w-]{43}"', r'\1"<share token>"'),
        (r"\bwhsec_[\w+/=]+", "<webhook secret>"),
        # Each side has ports of its own.
        (r"(http://127\.0\.0\.1):\d+", r"\1:<port>"),
        # A passkey's challenge, and its user's id, which is a UUID in base64url.
        (r'("challenge": ?)"[\w-]{43}"', r'\1"<challenge>"'),
        (r'("id": ?)"[\w-]{22}"', r'\1"<id>"'),
        (rf"\b{_UUID}\b", "<id>"),
        (_TIME, "<time>"),
        (r'("(?:exp|iat|created|(?:created|completed)_at|codes|\w+_ms)": ?"?)\d[\d.]*', r"\1<number>"),
        # The ids of OpenAI's and Anthropic's APIs.
        (r"\b(chatcmpl-|(?:resp|msg|conv|cmp)_)[0-9a-f]{32}", r"\1<id>"),
        # The secret of an authenticator app, and its QR code.
        (r'(\bsecret(?:=|": ?"))[A-Z2-7]{32}\b', r"\1<secret>"),
        (r'("qr_svg": ?)"(?:[^"\\]|\\.)*"', r'\1"<QR code>"'),
        # The parameters of a public key.
        (r'("(?:kid|n|x|y)": ?)"[\w-]{8,}"', r'\1"<key>"'),
        # Only the temporary credentials of a role have a session token.
        (r'\n *"x-amz-security-token": "[^"]*",?', ""),
        # The address and the signature of an upload form.
        (r'"(upload_url|policy|x-amz-(?:date|credential|signature))": ?"[^"]*"', r'"\1": "<signed>"'),
        # The name of a stored key.
        (r'"(signing|api)/[\w-]{8,}"', r'"\1/<key>"'),
    )
]

_VARYING_HEADERS = {"content-length"}


@dataclass(frozen=True)
class FunctionAnswer:
    """An HTTP response, a plain value with the status `value`, or an error with the status `failed`."""

    status: str
    body: str
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_answer(payload: Any) -> FunctionAnswer:
    """Parse a function's result: a proxy response, a stream's prelude with its body, an error object, or a value."""
    if isinstance(payload, dict) and "statusCode" in payload:
        return FunctionAnswer(str(payload["statusCode"]), _answer_body(payload), _answer_headers(payload))
    if isinstance(payload, dict) and "errorMessage" in payload:
        # The rest of an error object contains paths and ids that differ between the tools.
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
    """Return the answer as text with varying values masked; `known` maps ids to names that identify them on both sides."""
    headers = [f"{name}: {_masked_header(name, value)}" for name, values in sorted(answer.headers.items()) for value in values]
    text = "\n".join([answer.status, *headers, "", _indented_json(answer.body)])
    for value, name in known.items():
        text = text.replace(value, f"<{name}>")
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text


def difference(parley: str, sam: str) -> str:
    """Return the unified diff of two comparable texts, empty if they are equal."""
    lines = unified_diff(parley.splitlines(), sam.splitlines(), "parley invoke", "sam local invoke", lineterm="")
    return "\n".join(lines)


def _masked_header(name: str, value: str) -> str:
    return "<number>" if name in _VARYING_HEADERS else value


def _indented_json(body: str) -> str:
    """Return a JSON body with one line per value; return any other body unchanged."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
