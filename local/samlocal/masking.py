"""Making two answers comparable: what differs from call to call is named by its kind."""

import json
import re
from collections.abc import Mapping
from difflib import unified_diff

from local.samlocal.answer import Answer

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"

_KINDS = [
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


def portrait(answer: Answer, known: Mapping[str, str]) -> str:
    """Return the answer as text without what differs from call to call; `known` names the values that keep a meaning."""
    headers = [f"{name}: {_header(name, value)}" for name, values in sorted(answer.headers.items()) for value in values]
    text = "\n".join([answer.status, *headers, "", _readable(answer.body)])
    for value, name in known.items():
        text = text.replace(value, f"<{name}>")
    for pattern, mask in _KINDS:
        text = pattern.sub(mask, text)
    return text


def difference(parley: str, sam: str) -> str:
    """Return the unified diff of two portraits; empty if they are equal."""
    lines = unified_diff(parley.splitlines(), sam.splitlines(), "parley invoke", "sam local invoke", lineterm="")
    return "\n".join(lines)


def _header(name: str, value: str) -> str:
    return "<number>" if name in _VARYING_HEADERS else value


def _readable(body: str) -> str:
    """Return a JSON body with a line for each value, and any other as it is."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
