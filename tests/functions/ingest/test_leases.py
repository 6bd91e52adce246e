"""A worker keeps the lease of its document during slow steps, and stops if another worker has taken the document over."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest

from functions.ingest import lease as leases
from functions.ingest import pipeline
from functions.ingest.messages import DocumentMessage
from parley.db import documents as stored_documents
from parley.db.transactions import user_scope
from parley.db.vectors import Vector
from parley.deadline import Deadline
from tests.support.builders import upload_document


@dataclass
class SlowEmbedding:
    """An embedding model that needs a call for each text; `during` happens during each call."""

    during: Any

    def model_name(self):
        return "slow"

    def vectors(self, texts, *, before_call, **_):
        found = []
        for _text in texts:
            before_call()
            self.during()
            found.append(Vector("slow", [1.0] * 16))
        return found


@pytest.fixture
def message(documents, alice):
    return DocumentMessage(alice.id, UUID(upload_document(documents, alice, "\n\n".join(["A word of many. " * 150] * 3)).json["id"]))


@pytest.fixture
def stored(engine, message):
    """Return a function that reads the document."""

    def read():
        with user_scope(engine, message.user_id) as connection:
            return stored_documents.get(connection, message.document_id, user_id=message.user_id)

    return read


@pytest.fixture
def run(ingest, message, monkeypatch):
    """Return a function that ingests the document while something happens during each call of the model. Every lease counts as old."""
    from functions.ingest.app import services

    monkeypatch.setattr(leases, "_RENEWAL_AGE_S", 0.0)
    return lambda during: pipeline.ingest(replace(services, embedding=SlowEmbedding(during)), message, deadline=Deadline.after(300))


def test_each_call_of_a_batch_of_embeddings_begins_with_a_renewed_lease(run, stored):
    ends = []
    run(lambda: ends.append(stored().leased_until))

    assert len(ends) > 2
    assert ends == sorted(set(ends))
    assert stored().status == "ready"


def test_a_worker_stops_once_another_has_taken_its_document(run, stored, engine, postgres, message):
    taken = []

    def take_over():
        postgres.execute(f"UPDATE documents SET leased_until = now() - interval '1 s' WHERE id = '{message.document_id}'")
        with user_scope(engine, message.user_id) as connection:
            taken.append(stored_documents.acquire_lease(connection, message.document_id, user_id=message.user_id, lease_s=60))

    run(take_over)

    assert len(taken) == 1
    assert stored() == taken[0]
