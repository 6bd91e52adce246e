"""The summarize function's services with the test's models and embedder, on a real database."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from functions.summarize.services import SummarizeServices
from parley.deadline import Deadline
from parley.llm import messages as llm
from parley.llm.catalogue import Catalogue
from parley.llm.circuit_breaker import CircuitBreaker
from parley.llm.errors import ProviderFailed
from parley.llm.router import ModelRouter, RetryPolicy
from parley.llm.vendors.offline import OfflineProvider
from parley.llm.vendors.offline_search import OfflineEmbedder
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import DefaultLimits
from tests.fakes.circuits import MemoryCircuits

MODELS = """
[roles]
chat = "offline"
embedding = "lexical"

[models.offline]
provider = "offline"
name = "offline"
context_tokens = 4000
max_output_tokens = 500
input_usd_per_mtok = 1.0
abilities = ["json"]

[models.lexical]
provider = "offline"
name = "lexical"
kind = "embedding"
dimensions = 16
"""
TIME_LIMIT_S = 120.0


@dataclass
class RecordingQueue:
    """Records the entries that are queued."""

    sent: list[Any] = field(default_factory=list)

    def send_entry(self, entry: Any, *, at_once: bool = False) -> None:
        self.sent.append(entry)


@dataclass
class RecordingOfflineProvider:
    """The offline model. It records each request and passes it to `first` before it answers."""

    first: Callable[[llm.ModelRequest], Any] = lambda request: None
    requests: list[llm.ModelRequest] = field(default_factory=list)

    def stream(self, model_name: str, request: llm.ModelRequest) -> Any:
        self.requests.append(request)
        self.first(request)
        return OfflineProvider().stream(model_name, request)

    def tasks(self) -> list[str]:
        return [request.task for request in self.requests]


class FailingEmbedder:
    """An embedding service that is unavailable."""

    dimensions, batch_texts, batch_tokens = 16, 100, 10_000

    def embed_batch(self, *_: Any, **__: Any) -> Any:
        raise ProviderFailed("lexical", "away")


def make_services(engines: Any, provider: Any = None, *, embedder: Any = None, **fields: Any) -> SummarizeServices:
    """Return services with a real database."""
    router = ModelRouter(
        lambda model: provider or RecordingOfflineProvider(),
        CircuitBreaker(MemoryCircuits()),
        retry_policy=RetryPolicy(calls=1, first_pause_s=0.0),
    )
    catalogue, default_limits = Catalogue.parse(MODELS, source="test"), DefaultLimits(1000, Decimal(5))
    embedder = embedder or OfflineEmbedder(dimensions=16)
    values: dict[str, Any] = {
        "engine": engines["app"],
        "background": engines["background"],
        "catalogue": lambda: catalogue,
        "router": router,
        "embedding": MeteredEmbedder(engines["app"], lambda: catalogue, {}, lambda model: embedder, default_limits),
        "environment": {},
        "default_limits": default_limits,
        "queue": RecordingQueue(),
        "retention_days": 0,
    }
    return SummarizeServices(**values | fields)


def make_deadline(seconds: float = TIME_LIMIT_S) -> Deadline:
    return Deadline.after(seconds)
