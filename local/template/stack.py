"""The stack: a template's resources with all values resolved."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

# The niceness of bulk functions, which compute for seconds (nice(2)).
BULK_NICENESS = 15


@dataclass(frozen=True, kw_only=True)
class Function:
    """A Lambda function.

    `folder` holds its code, `root` is the folder to which the handler's module path is relative, and `layers` are the
    folders of its layers. An isolated function cannot reach the stack's services. Lambda drops log lines below `log_level`.
    `niceness` is that of its workers: the higher, the more they give way to others.
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
    log_level: str = "INFO"
    may_recurse: bool = False
    concurrency: int | None = None
    is_isolated: bool = False
    niceness: int = 0

    @property
    def is_bulk(self) -> bool:
        """Whether the workers give way to all others."""
        return self.niceness >= BULK_NICENESS


@dataclass(frozen=True)
class RateLimit:
    """A token bucket: `rate` requests per second and bursts of up to `burst`."""

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
    """An integration with a fixed response. The translator adds such integrations for CORS preflights."""

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
    """A Lambda authorizer of type REQUEST; its result is cached for `ttl_s` by the values of the identity headers."""

    name: str
    function: str
    identity_headers: tuple[str, ...]
    ttl_s: float


@dataclass(frozen=True)
class GatewayResponse:
    """The template of one of the gateway's own responses; None selects API Gateway's default."""

    status: int | None
    headers: Mapping[str, str]
    body: str | None


@dataclass(frozen=True, kw_only=True)
class RestApi:
    """The REST API, without routes if the template defines no API."""

    stage: str = "local"
    routes: tuple[Route, ...] = ()
    authorizers: Mapping[str, Authorizer] = field(default_factory=dict)
    responses: Mapping[str, GatewayResponse] = field(default_factory=dict)
    binary_types: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A function that runs at set times; `input` is JSON text, or None for the standard event of `service`."""

    name: str
    function: str
    expression: str
    timezone: str
    input: str | None
    is_enabled: bool
    service: Literal["aws.scheduler", "aws.events"]


@dataclass(frozen=True, kw_only=True)
class StackQueue:
    """An SQS queue. `attributes` has every attribute to set with SetQueueAttributes."""

    name: str
    url: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BucketNotification:
    """A notification to a queue about events such as `s3:ObjectCreated:*` on objects whose key begins with `prefix`."""

    queue_arn: str
    event: str
    prefix: str = ""


@dataclass(frozen=True)
class StackBucket:
    """An S3 bucket."""

    name: str
    notifications: tuple[BucketNotification, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EventSource:
    """The mapping of a queue to a function: batches of up to `batch_size` messages that arrive within `window_s`.

    At most `concurrency` batches run at a time. With `reports_failures` the function returns the ids of failed messages.
    """

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
    """Every resource of a template that the emulator runs; queues and buckets are keyed by logical id. `mail_from` may be empty."""

    functions: Mapping[str, Function]
    api: RestApi
    schedules: tuple[Schedule, ...]
    queues: Mapping[str, StackQueue] = field(default_factory=dict)
    buckets: Mapping[str, StackBucket] = field(default_factory=dict)
    event_sources: tuple[EventSource, ...] = ()
    mail_from: str = ""
