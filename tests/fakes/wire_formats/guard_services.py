"""Fakes of the services that guards ask: Amazon Bedrock's `ApplyGuardrail`, and Presidio's analyzer.

Each is a script of the fake vendor. `beside` plays it at its own address of the same server, and leaves the other addresses to the model.
"""

import re
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.fakes.vendor import Script, replies

GUARDRAIL = re.compile(r"/guardrail/[a-z0-9]+/version/(?:\d+|DRAFT)/apply")
UNITS = dict.fromkeys(("topicPolicyUnits", "contentPolicyUnits", "wordPolicyUnits", "sensitiveInformationPolicyUnits"), 1)


def beside(model: Script, *, guardrail: Script | None = None, analyzer: Script | None = None) -> Script:
    """Answer at the addresses of the guards' services by their scripts, and at every other address by the model's."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/analyze" and analyzer:
            return analyzer(handler)
        return guardrail(handler) if GUARDRAIL.fullmatch(handler.path) and guardrail else model(handler)

    return answer


def asked(vendor: Any) -> list[str]:
    """Return the texts about which the services were asked, in order."""
    bodies = [body for headers, body in vendor.requests if headers["x-path"] == "/analyze" or GUARDRAIL.fullmatch(headers["x-path"])]
    return [body["text"] if "text" in body else body["content"][0]["text"]["text"] for body in bodies]


def bedrock_guardrail(*, names: tuple[str, ...] = (), topics: tuple[str, ...] = (), reports: tuple[str, ...] = ()) -> Script:
    """Anonymize names, block texts about topics, and report others, as the API reference of `ApplyGuardrail` describes."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        (block,) = handler.request_body["content"]  # type: ignore[attr-defined]
        replies(_assessed(block["text"]["text"], names, topics, reports))(handler)

    return answer


def _assessed(text: str, names: tuple[str, ...], topics: tuple[str, ...], reports: tuple[str, ...]) -> dict[str, Any]:
    blocked = [{"name": topic, "type": "DENY", "action": "BLOCKED", "detected": True} for topic in topics if topic in text]
    entities = [_entity(name, "ANONYMIZED") for name in names if name in text]
    masked = text
    for name in names:
        masked = masked.replace(name, "{NAME}")
    assessment: dict[str, Any] = {"topicPolicy": {"topics": blocked}} if blocked else {}
    if entities or any(word in text for word in reports):
        found = entities + [_entity(word, "NONE") for word in reports if word in text]
        assessment["sensitiveInformationPolicy"] = {"piiEntities": found, "regexes": []}
    intervened = bool(blocked or entities)
    return {
        "usage": UNITS,
        "action": "GUARDRAIL_INTERVENED" if intervened else "NONE",
        "outputs": [{"text": "Sorry." if blocked else masked}] if intervened else [],
        "assessments": [assessment] if assessment else [],
    }


def _entity(match: str, action: str) -> dict[str, Any]:
    return {"match": match, "type": "NAME", "action": action, "detected": True}


def presidio_analyzer(*names: str) -> Script:
    """Find names, as Presidio's `POST /analyze` does."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        text = handler.request_body["text"]  # type: ignore[attr-defined]
        found = [(match.start(), match.end()) for name in names for match in re.finditer(re.escape(name), text)]
        entities = [{"start": start, "end": end, "entity_type": "PERSON", "score": 0.85} for start, end in found]
        replies([entity | {"analysis_explanation": None} for entity in entities])(handler)

    return answer
