"""Traces by OpenTelemetry: a root span for each unit of work, and spans for model calls, embeddings and tools below it.

Off unless `PARLEY_TRACES_ENDPOINT` is set; then a call costs nothing but a check. The SDK is imported only if traces are on. Spans are
collected and sent in one OTLP request when the unit of work ends, because Lambda freezes the process afterwards.

Names and attributes follow OpenTelemetry's semantic conventions and hold no text of users: no prompts, answers or tool arguments.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, Protocol

from parley.observability.settings import ObservabilitySettings, settings

type AttributeValue = str | int | float | bool | tuple[str, ...]
type SpanKind = Literal["internal", "server", "client", "consumer"]

# The name of W3C's header, and of the attribute of an SQS message that carries the trace on.
TRACEPARENT = "traceparent"
_EXPORT_TIMEOUT_S = 2.0
# After a failed export, spans are dropped for a while, so that a collector that is away does not delay every request.
_PAUSE_S = 60.0


class Span(Protocol):
    """A span that has begun. `fail` marks it as failed with the type of an error; `end` must be called once."""

    def rename(self, name: str) -> None: ...

    def set(self, attributes: Mapping[str, AttributeValue]) -> None: ...

    def fail(self, error_type: str) -> None: ...

    def end(self) -> None: ...


class _NoSpan:
    def rename(self, name: str) -> None:
        pass

    def set(self, attributes: Mapping[str, AttributeValue]) -> None:
        pass

    def fail(self, error_type: str) -> None:
        pass

    def end(self) -> None:
        pass


NO_SPAN: Span = _NoSpan()


class _RecordedSpan:
    def __init__(self, span: Any) -> None:
        self._span = span

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def set(self, attributes: Mapping[str, AttributeValue]) -> None:
        self._span.set_attributes(attributes)

    def fail(self, error_type: str) -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_attribute("error.type", error_type)
        self._span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        self._span.end()


class Tracer:
    """Records spans and exports them to an OTLP endpoint, such as `http://localhost:4318/v1/traces`."""

    def __init__(self, observability: ObservabilitySettings) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

        ended: list[ReadableSpan] = []

        class Collector(SpanProcessor):
            def on_end(self, span: ReadableSpan) -> None:
                ended.append(span)

        self._ended = ended
        self._exporter = OTLPSpanExporter(
            endpoint=observability.traces_endpoint, headers=observability.traces_headers, timeout=_EXPORT_TIMEOUT_S
        )
        resource = Resource({"service.name": observability.service, "service.namespace": observability.stack})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(Collector())
        self._tracer = provider.get_tracer("parley")
        self._root: Any = None
        self._paused_until_s = 0.0

    def begin(self, name: str, kind: SpanKind, traceparent: str | None) -> _RecordedSpan:
        """Begin the root span of a unit of work, below the caller's span if there is one."""
        from opentelemetry.trace import set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        caller = TraceContextTextMapPropagator().extract({TRACEPARENT: traceparent}) if traceparent else None
        span = self._tracer.start_span(name, context=caller, kind=_kind(kind))
        self._root = set_span_in_context(span)
        return _RecordedSpan(span)

    def start(self, name: str, kind: SpanKind, attributes: Mapping[str, AttributeValue]) -> _RecordedSpan:
        """Start a span below the root. Other threads may call this and end the span."""
        return _RecordedSpan(self._tracer.start_span(name, context=self._root, kind=_kind(kind), attributes=attributes))

    def traceparent(self) -> str | None:
        """Return the root's position in W3C's format, for work that the unit of work causes elsewhere."""
        if self._root is None:
            return None
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier, context=self._root)
        return carrier.get(TRACEPARENT)

    def export(self) -> None:
        """Send the spans that have ended. A span of a thread that still runs is sent with the next unit of work."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        self._root = None
        spans = [self._ended.pop(0) for _ in range(len(self._ended))]
        if not spans or time.monotonic() < self._paused_until_s:
            return
        if self._exporter.export(spans) is not SpanExportResult.SUCCESS:
            self._paused_until_s = time.monotonic() + _PAUSE_S


def _kind(kind: SpanKind) -> Any:
    from opentelemetry.trace import SpanKind as OtelSpanKind

    return OtelSpanKind[kind.upper()]


_tracer: Tracer | None = Tracer(settings) if settings.traces_endpoint else None


def is_tracing() -> bool:
    """Return whether traces are on. Check this before building a span's attributes on a path that must be fast."""
    return _tracer is not None


@contextmanager
def unit_of_work(name: str, *, kind: SpanKind, traceparent: str | None = None) -> Iterator[Span]:
    """Record a unit of work as the root span, and export the trace when it ends. An error that leaves the context marks the span."""
    if _tracer is None:
        yield NO_SPAN
        return
    span = _tracer.begin(name, kind, traceparent)
    try:
        yield span
    except BaseException as exc:
        span.fail(type(exc).__name__)
        raise
    finally:
        span.end()
        _tracer.export()


def start_span(name: str, *, kind: SpanKind = "internal", attributes: Mapping[str, AttributeValue]) -> Span:
    """Start a span in the current unit of work."""
    return _tracer.start(name, kind, attributes) if _tracer else NO_SPAN


def current_traceparent() -> str | None:
    """Return the current unit of work in W3C's format, or None if traces are off."""
    return _tracer.traceparent() if _tracer else None
