"""Ingestion whose chunks a given model describes."""

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest

from functions.ingest import pipeline
from functions.ingest.messages import DocumentMessage
from parley.deadline import Deadline
from parley.llm import messages as llm
from parley.llm.catalogue import Catalogue
from parley.llm.circuit_breaker import CircuitBreaker
from parley.llm.router import ModelRouter, RetryPolicy
from tests.fakes.circuits import MemoryCircuits
from tests.support.builders import upload_document

MODELS = """
[roles]
chat = "small"
[models.small]
provider = "offline"
name = "offline"
context_tokens = 8000
max_output_tokens = 500
input_usd_per_mtok = 1.0
"""
LONG = "\n\n".join(f"# Part {number}\n\n" + f"Sentence {number} tells a little of it. " * 40 for number in range(3))


@dataclass
class DescribingProvider:
    """A model that calls `first` with the number of the request, and then answers `says`."""

    says: str = "From the chapter on zanzibar."
    refuses: bool = False
    first: Any = lambda count: None
    requests: list[llm.ModelRequest] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def stream(self, model_name: str, request: llm.ModelRequest) -> Any:
        self.requests.append(request)
        self.names.add(model_name)
        self.first(len(self.requests))
        yield llm.TextDelta(self.says, is_refusal=self.refuses)
        yield llm.Finished("stop", llm.Usage(100, 10))


@dataclass
class DelayRecordingQueue:
    """A queue that records the delay of each message."""

    delays: list[float] = field(default_factory=list)

    def send(self, *_: Any, delay_s: float = 0, **__: Any) -> None:
        self.delays.append(delay_s)


@pytest.fixture
def read(ingest, documents, alice):
    """Upload a text and ingest it with this model; return its id. With `id`, continue that document."""
    from functions.ingest.app import services

    def read(writer, *, content=LONG, id=None, describes_chunks=True, models=MODELS, **fields):
        id = id or upload_document(documents, alice, content, filename="notes.md").json["id"]
        router = ModelRouter(lambda model: writer, CircuitBreaker(MemoryCircuits()), retry_policy=RetryPolicy(calls=1, first_pause_s=0.0))
        catalogue = Catalogue.parse(models, source="test")
        given = replace(services, describes_chunks=describes_chunks, router=router, catalogue=lambda: catalogue, **fields)
        pipeline.ingest(given, DocumentMessage(alice.id, UUID(id)), deadline=Deadline.after(300))
        return id

    return read
