"""A worker keeps the lease of its document during slow steps, and stops if another worker has taken the document over."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest

from functions.ingest import lease as leases
from functions.ingest import pipeline
from functions.ingest.errors import NotUploaded
from functions.ingest.messages import DocumentMessage
from parley.aws.s3 import FileMissing
from parley.db import documents as stored_documents
from parley.db.transactions import user_scope
from parley.db.vectors import Vector
from parley.deadline import Deadline
from parley.errors import Unavailable
from parley.llm.model import Model
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
def run(ingest, message):
    """Return a function that ingests the document while something happens during each call of the model."""
    from functions.ingest.app import services

    return lambda during: pipeline.ingest(replace(services, embedding=SlowEmbedding(during)), message, deadline=Deadline.after(300))


def test_each_call_of_a_batch_of_embeddings_begins_with_a_renewed_lease(run, stored):
    ends = []
    run(lambda: ends.append(stored().leased_until))

    assert len(ends) > 2
    assert ends == sorted(set(ends))
    assert stored().status == "ready"


def test_the_lease_is_renewed_while_a_file_is_parsed(run, stored, monkeypatch):
    renewals, renew = [], leases.Lease.renew
    monkeypatch.setattr(leases, "_RENEWAL_AGE_S", 0.0)
    monkeypatch.setattr(leases.Lease, "renew", lambda lease: renewals.append(stored().chunks) or renew(lease))
    run(lambda: None)

    assert renewals.count(0) > 2


@pytest.fixture
def take_over(engine, postgres, message):
    """Return a function by which another worker takes the document, after its lease has ended; it returns the document then."""

    def take_over():
        postgres.execute(f"UPDATE documents SET leased_until = now() - interval '1 s' WHERE id = '{message.document_id}'")
        with user_scope(engine, message.user_id) as connection:
            return stored_documents.acquire_lease(connection, message.document_id, user_id=message.user_id, lease_s=60)

    return take_over


def test_a_worker_stops_once_another_has_taken_its_document(run, stored, take_over):
    taken = []
    run(lambda: taken.append(take_over()))

    assert len(taken) == 1
    assert stored() == taken[0]


@pytest.mark.parametrize(
    "ending",
    [None, leases.ContinueLater(), leases.ContinueLater(30.0), NotUploaded("x"), FileMissing("x")],
    ids=["finishes", "continues later", "continues after a delay", "fails", "waits for the file"],
)
def test_a_slow_worker_changes_nothing_of_a_document_that_another_has_taken(run, stored, take_over, monkeypatch, ending):
    taken, embed = [], pipeline._embed

    def end(*arguments):
        note = embed(*arguments)
        taken.append(take_over())
        if ending:
            raise ending
        return note

    monkeypatch.setattr(pipeline, "_embed", end)
    run(lambda: None)

    assert len(taken) == 1
    assert stored() == taken[0]


@pytest.mark.parametrize("failure", [Unavailable("database"), RuntimeError("a bug")], ids=["an outage", "a bug"])
def test_a_slow_worker_that_is_interrupted_keeps_the_lease_of_the_next(run, stored, take_over, failure):
    taken = []

    def interrupt():
        taken.append(take_over())
        raise failure

    with pytest.raises(type(failure)):
        run(interrupt)

    assert stored() == taken[0]


@pytest.mark.parametrize(("timeout_s", "limit_s"), [(120.0, 45.0), (20.0, 20.0)])
def test_a_call_of_an_embedding_model_ends_before_the_lease(timeout_s, limit_s):
    model = Model(provider="offline", name="m", kind="embedding", dimensions=16, timeout_s=timeout_s)

    assert leases.within_lease(lambda limited: limited.timeout_s)(model) == limit_s < leases.LEASE_S
