"""After a change of the embedding model, the schedule replaces the vectors without any user activity."""

from datetime import UTC, datetime

import pytest

from functions.summarize.schedule import run_scheduled
from parley.db.vectors import Vector
from tests.functions.summarize.services import FailingEmbedder, make_deadline, make_services
from tests.support.builders import add_conversation
from tests.support.postgres import dropped_once

MODELS = "SELECT embedding_model FROM passages WHERE user_id = :id ORDER BY first_seq"


@pytest.fixture
def old(engine, alice, bob):
    """Passages of Alice and Bob with vectors of an older model."""
    for person in (alice, bob):
        add_conversation(
            engine,
            person,
            "tea",
            f"cats of {person.id}",
            vectors=[Vector("last-year", [1.0] * 16)] * 2,
            day=datetime(2025, 1, 1, tzinfo=UTC),
        )


def test_the_schedule_replaces_vectors_of_an_older_model(engines, rows, old, alice, bob):
    done = run_scheduled(make_services(engines), make_deadline())

    assert rows(MODELS, id=alice.id) == rows(MODELS, id=bob.id) == [("lexical",)] * 2
    assert done["embedded"] >= 2
    assert run_scheduled(make_services(engines), make_deadline())["embedded"] == 0


def test_vectors_that_have_arrived_wait_for_a_database_that_is_briefly_away(engines, engine, postgres, rows, old, alice):
    with dropped_once(engine, postgres, before="INSERT INTO usage") as dropped:
        run_scheduled(make_services(engines), make_deadline())

    assert dropped
    assert rows(MODELS, id=alice.id) == [("lexical",)] * 2


def test_an_unavailable_service_leaves_the_old_vectors(engines, rows, old, alice):
    run_scheduled(make_services(engines, embedder=FailingEmbedder()), make_deadline())

    assert rows(MODELS, id=alice.id) == [("last-year",)] * 2


def test_close_to_the_deadline_nothing_is_embedded(engines, rows, old, alice):
    run_scheduled(make_services(engines), make_deadline(16.0))

    assert rows(MODELS, id=alice.id) == [("last-year",)] * 2


def test_a_user_whose_calls_fail_does_not_block_others(engines, rows, old, alice, bob):
    first, second = sorted([alice, bob], key=lambda person: person.id)
    embed = make_services(engines).embedding.embedder_for(None).embed_batch

    class Refusing(FailingEmbedder):
        def embed_batch(self, model_name, texts, **kwargs):
            return super().embed_batch() if str(first.id) in str(texts) else embed(model_name, texts, **kwargs)

    run_scheduled(make_services(engines, embedder=Refusing()), make_deadline())

    assert (rows(MODELS, id=first.id), rows(MODELS, id=second.id)) == ([("last-year",)] * 2, [("lexical",)] * 2)
