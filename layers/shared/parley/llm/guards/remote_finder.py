"""Finders that ask a service: Amazon Bedrock Guardrails, and the analyzer of Microsoft Presidio.

The service is asked about a text once in `CACHE_S`, because each turn sends the whole history again. If the service does not answer,
finding raises Unavailable, unless the guard passes texts then.
"""

import hashlib
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import chain
from typing import Any, Literal

from parley.errors import Unavailable
from parley.llm.guards.spans import Found, TextSpan, start_of_overlaps
from parley.llm.model import BedrockGuard, GuardAction, PresidioGuard
from parley.observability import logger

CACHE_SIZE, CACHE_S = 2048, 300.0
THREADS = 8
# While the service is away, a guard that passes texts asks again after this time only: each attempt may take a whole timeout.
PAUSE_S = 10.0
# One unit of Bedrock's price. A stream is read in windows of this length, and texts of at most `SHORT` are asked about together.
WINDOW, SHORT = 1000, 200
# A stream's last characters are read again with the next ones, as is the end of each part of a long text.
OVERLAP = 128
# Bedrock reads at most 25 units in one request.
MAX_CHARACTERS = 25_000
_SEPARATOR = re.compile(r"[^a-z]")
_POLICIES = {
    "topicPolicy": "topic",
    "contentPolicy": "content",
    "wordPolicy": "word",
    "sensitiveInformationPolicy": "personal_data",
    "contextualGroundingPolicy": "grounding",
}
_ACTIONS: dict[object, GuardAction] = {"ANONYMIZED": "mask", "NONE": "report"}

type Ask = Callable[[str], Sequence[TextSpan]]


class RemoteFinder:
    """Finds what a service finds. Thread-safe. `name` is the guard's name in logs."""

    def __init__(self, name: str, ask: Ask, *, passes_on_error: bool) -> None:
        self._name, self._ask, self._passes_on_error = name, ask, passes_on_error
        self._lock, self._known = threading.Lock(), OrderedDict[bytes, tuple[float, Sequence[TextSpan]]]()
        self._size = CACHE_SIZE
        self._paused_until_s = 0.0

    def prepare(self, texts: Iterable[str]) -> None:
        """Ask about all these texts at once, and about short ones together, so that `find` need not wait. Raises Unavailable."""
        distinct = dict.fromkeys(text for text in texts if text.strip())
        with self._lock:  # a turn's texts and their groups must be remembered until the turn has read them
            self._size = max(self._size, 2 * len(distinct))
        unknown = [text for text in distinct if self._remembered(text) is None]
        groups = [[text] for text in unknown if len(text) > SHORT] + list(_groups(text for text in unknown if len(text) <= SHORT))
        if not groups:
            return
        with ThreadPoolExecutor(min(THREADS, len(groups))) as threads:
            suspects = list(chain.from_iterable(threads.map(self._suspects, groups)))
            list(threads.map(self._spans, suspects))

    def find(self, text: str, *, before: str = "", is_end: bool = True) -> Found:  # noqa: ARG002 - the service reads whole words
        """Return the spans in `text`, and how much of it is read. Raises Unavailable.

        The service is not asked about a text that goes on until it has `WINDOW` characters. Until then, all of it is held back.
        """
        if not is_end and len(text) < WINDOW:
            return Found([], 0)
        spans = self._spans(text)
        return Found(spans, len(text) if is_end else _open_start(text, spans))

    def _suspects(self, texts: Sequence[str]) -> Sequence[str]:
        """Ask about the texts together. Return them if something is found, so that each is asked about; else remember that all are clean.

        The spans of a single text are remembered in any case.
        """
        found = self._found("\n".join(texts))
        if found:
            return texts
        if found is not None:
            for text in texts:
                self._remember(text, [])
        return ()

    def _spans(self, text: str) -> Sequence[TextSpan]:
        return self._found(text) or []

    def _found(self, text: str) -> Sequence[TextSpan] | None:
        """Return the spans in the text, or None if the service is away and the guard passes the text unread."""
        if not text.strip():
            return []
        if (known := self._remembered(text)) is not None:
            return known
        if time.monotonic() < self._paused_until_s:
            return None
        try:
            spans = [span.shifted(start) for start, part in _parts(text) for span in self._ask(part)]
        except Unavailable as exc:
            logger.warning("guard_unavailable", guard=self._name, passes=self._passes_on_error, reason=str(exc))
            if not self._passes_on_error:
                raise
            self._paused_until_s = time.monotonic() + PAUSE_S
            return None
        self._remember(text, spans)
        return spans

    def _remembered(self, text: str) -> Sequence[TextSpan] | None:
        key = _key(text)
        with self._lock:
            expires_s, spans = self._known.get(key, (0.0, []))
            if time.monotonic() >= expires_s:
                self._known.pop(key, None)
                return None
            self._known.move_to_end(key)
            return spans

    def _remember(self, text: str, spans: Sequence[TextSpan]) -> None:
        with self._lock:
            self._known[_key(text)] = time.monotonic() + CACHE_S, spans
            self._known.move_to_end(_key(text))
            while len(self._known) > self._size:
                self._known.popitem(last=False)


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def _groups(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield the texts in groups that fit into one window."""
    group, room = list[str](), WINDOW
    for text in texts:
        if len(text) > room:
            yield group
            group, room = [], WINDOW
        group.append(text)
        room -= len(text) + 1
    if group:
        yield group


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Yield the positions and the parts of a text that a service reads at once. Each begins with the end of the part before it."""
    for start in range(0, max(1, len(text) - OVERLAP), MAX_CHARACTERS - OVERLAP):
        yield start, text[start : start + MAX_CHARACTERS]


def _open_start(text: str, spans: Sequence[TextSpan]) -> int:
    """Return where the end of a window begins that is read again with the next one. It does not cut a word or a span."""
    floor = len(text) - OVERLAP
    start = text.rfind(" ", WINDOW // 2, floor) + 1 or floor
    if (earlier := start_of_overlaps(spans, start)) >= WINDOW // 2:
        return earlier
    # Spans that take most of the window are passed on: the window must move.
    for span in sorted(spans, key=lambda span: span.start):
        if span.start < start < span.end:
            start = span.end
    return start


def bedrock_finder(settings: BedrockGuard, *, source: Literal["INPUT", "OUTPUT"]) -> RemoteFinder:
    """Return a finder that asks `ApplyGuardrail` about texts for the model (INPUT) or of the model (OUTPUT).

    A text that the guardrail blocks is one span; each match that it anonymizes is a span to mask.
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ApplyGuardrail.html
    """
    from parley.aws.client import aws_client, close_idle_connections, translated_errors

    @cache
    def client() -> Any:
        region = {"region_name": settings.region} if settings.region else {}
        made = aws_client(
            "bedrock-runtime",
            read_timeout_s=settings.timeout_s,
            max_attempts=1,  # the router repeats the call of the model
            endpoint_url=settings.base_url,
            max_pool_connections=THREADS,
            **region,
        )
        close_idle_connections(made)
        return made

    def ask(text: str) -> Sequence[TextSpan]:
        with translated_errors(lambda code, error: Unavailable(f"the guardrail ({code or type(error).__name__})")):
            response = client().apply_guardrail(
                guardrailIdentifier=settings.guardrail,
                guardrailVersion=settings.version,
                source=source,
                content=[{"text": {"text": text}}],
            )
        return _bedrock_spans(text, response)

    return RemoteFinder("bedrock", ask, passes_on_error=settings.on_error == "pass")


def _bedrock_spans(text: str, response: dict[str, Any]) -> list[TextSpan]:
    assessments = response.get("assessments", [])
    blocked = [_POLICIES.get(name, "content") for assessment in assessments for name, policy in assessment.items() if _has_blocked(policy)]
    spans = [span for assessment in assessments for span in _matches(text, assessment)]
    is_masked = any(span.action == "mask" for span in spans)
    if blocked or (response.get("action") != "NONE" and not is_masked):
        return [TextSpan(0, len(text), next(iter(blocked), "content"), "block")]
    return spans


def _has_blocked(value: object) -> bool:
    match value:
        case dict():
            return value.get("action") == "BLOCKED" or any(map(_has_blocked, value.values()))
        case list():
            return any(map(_has_blocked, value))
    return False


def _matches(text: str, assessment: dict[str, Any]) -> Iterator[TextSpan]:
    """Yield each occurrence of what the guardrail anonymizes or reports. A match that is not found in the text blocks it."""
    policy = assessment.get("sensitiveInformationPolicy", {})
    for entity in [*policy.get("piiEntities", []), *policy.get("regexes", [])]:
        kind, match = kind_of(entity.get("type") or entity.get("name") or "data"), entity.get("match", "")
        action = _ACTIONS.get(entity.get("action"), "block")
        start = text.find(match) if match else -1
        if start < 0 and action == "mask":
            yield TextSpan(0, len(text), kind, "block")
        while start >= 0:
            yield TextSpan(start, start + len(match), kind, action)
            start = text.find(match, start + len(match))


def presidio_finder(settings: PresidioGuard) -> RemoteFinder:
    """Return a finder that asks Presidio's analyzer, whose positions count characters as Python does.

    https://microsoft.github.io/presidio/api-docs/api-docs.html
    """
    import httpx2

    question: dict[str, object] = {"language": settings.language, "score_threshold": settings.min_score}
    question |= {"entities": settings.entities} if settings.entities else {}
    client = cache(lambda: httpx2.Client(timeout=settings.timeout_s))

    def ask(text: str) -> Sequence[TextSpan]:
        try:
            response = client().post(f"{settings.url.rstrip('/')}/analyze", json=question | {"text": text})
            response.raise_for_status()
            found = [TextSpan(int(entity["start"]), int(entity["end"]), kind_of(entity["entity_type"])) for entity in response.json()]
        except (httpx2.HTTPError, ValueError, LookupError, TypeError, AttributeError) as exc:
            raise Unavailable(f"Presidio ({type(exc).__name__})") from exc
        return [span for span in found if 0 <= span.start < span.end <= len(text)]

    return RemoteFinder("presidio", ask, passes_on_error=settings.on_error == "pass")


def kind_of(name: str) -> str:
    """Return a service's name of a kind of data in the form of ours, such as `us_ssn`."""
    return _SEPARATOR.sub("_", name.lower())[:32]
