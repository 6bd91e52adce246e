"""The stack: what a template means, in plain values with nothing left to work out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Function:
    """One Lambda function; `root` is the folder that its handler's module path starts from, `layers` are those of the template.

    One that is isolated reaches none of the stack's services.
    """

    name: str
    handler: str
    root: Path
    folder: Path
    layers: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 3
    memory_mb: int = 128
    log_format: Literal["Text", "JSON"] = "Text"
    concurrency: int | None = None
    is_isolated: bool = False


@dataclass(frozen=True)
class RateLimit:
    """A token bucket: `rate` requests a second, `burst` of them at once."""

    rate: float
    burst: int


@dataclass(frozen=True, kw_only=True)
class LambdaIntegration:
    """A Lambda proxy integration."""

    function: str
    is_streaming: bool
    timeout_s: float


@dataclass(frozen=True)
class MockIntegration:
    """An integration that answers by itself; the translator makes them for CORS preflights."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True, kw_only=True)
class Route:
    """A method (or ANY) on a path template such as `/conversations/{id}` or `/{proxy+}`."""

    method: str
    path: str
    integration: LambdaIntegration | MockIntegration
    authorizer: str | None = None
    throttle: RateLimit | None = None


@dataclass(frozen=True, kw_only=True)
class Authorizer:
    """A Lambda authorizer of type REQUEST; its answer is kept for `ttl_s` by the identity headers' values."""

    name: str
    function: str
    identity_headers: tuple[str, ...]
    ttl_s: float


@dataclass(frozen=True)
class GatewayResponse:
    """How one of the gateway's own answers looks; None leaves that part as API Gateway has it."""

    status: int | None
    headers: Mapping[str, str]
    body: str | None


@dataclass(frozen=True, kw_only=True)
class RestApi:
    """The REST API; without one in the template it has no routes."""

    stage: str = "local"
    routes: tuple[Route, ...] = ()
    authorizers: Mapping[str, Authorizer] = field(default_factory=dict)
    responses: Mapping[str, GatewayResponse] = field(default_factory=dict)
    binary_types: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A function that runs by the clock; `input` is JSON text, or None for the service's own event."""

    name: str
    function: str
    expression: str
    timezone: str
    input: str | None
    is_enabled: bool
    service: Literal["aws.scheduler", "aws.events"]


@dataclass(frozen=True, kw_only=True)
class Queue:
    """An SQS queue; `attributes` are those of SetQueueAttributes, all of them."""

    name: str
    url: str
    is_fifo: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Notification:
    """What a bucket tells a queue, by its ARN: events such as `s3:ObjectCreated:*` of objects whose key begins with `prefix`."""

    queue_arn: str
    event: str
    prefix: str = ""


@dataclass(frozen=True)
class Bucket:
    """An S3 bucket."""

    name: str
    notifications: tuple[Notification, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EventSource:
    """A function that gets a queue's messages: up to `batch_size` that arrive within `window_s`, `concurrency` batches at a time."""

    name: str
    function: str
    queue: str
    batch_size: int = 10
    window_s: float = 0
    concurrency: int = 5
    reports_failures: bool = False
    is_enabled: bool = True


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Everything of a template that the emulator runs; queues and buckets by their logical ids, `mail_from` may be empty."""

    functions: Mapping[str, Function]
    api: RestApi
    schedules: tuple[Schedule, ...]
    queues: Mapping[str, Queue] = field(default_factory=dict)
    buckets: Mapping[str, Bucket] = field(default_factory=dict)
    event_sources: tuple[EventSource, ...] = ()
    mail_from: str = ""
