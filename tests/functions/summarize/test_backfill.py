"""After a change of the embedding model, the schedule replaces the vectors without any user activity."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

import pytest

from functions.summarize.backfill import embed_missing
from functions.summarize.schedule import run_scheduled
from parley.db.vectors import Vector
from parley.llm.catalogue import Catalogue
from parley.llm.errors import ProviderFailed
from parley.llm.vendors.offline_search import OfflineEmbedder
from tests.functions.summarize.services import MODELS, FailingEmbedder, make_deadline, make_services
from tests.support.builders import add_conversation
from tests.support.postgres import dropped_once

EMBEDDED_BY = "SELECT embedding_model FROM passages WHERE user_id = :id ORDER BY first_seq"


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

    assert rows(EMBEDDED_BY, id=alice.id) == rows(EMBEDDED_BY, id=bob.id) == [("lexical",)] * 2
    assert done["embedded"] >= 2
    assert run_scheduled(make_services(engines), make_deadline())["embedded"] == 0


def test_vectors_that_have_arrived_wait_for_a_database_that_is_briefly_away(engines, engine, postgres, rows, old, alice):
    with dropped_once(engine, postgres, before="INSERT INTO usage") as dropped:
        run_scheduled(make_services(engines), make_deadline())

    assert dropped
    assert rows(EMBEDDED_BY, id=alice.id) == [("lexical",)] * 2


def test_an_unavailable_service_leaves_the_old_vectors(engines, rows, old, alice):
    run_scheduled(make_services(engines, embedder=FailingEmbedder()), make_deadline())

    assert rows(EMBEDDED_BY, id=alice.id) == [("last-year",)] * 2


class RecordingEmbedder(OfflineEmbedder):
    """An embedding model that records its texts, and gives up after more than anybody needs."""

    def __init__(self):
        super().__init__(dimensions=16)
        self.texts = []

    def embed_batch(self, model_name, texts, **kwargs):
        self.texts += texts
        if len(self.texts) > 20:
            raise ProviderFailed("lexical", "too many texts")
        return super().embed_batch(model_name, texts, **kwargs)


@pytest.mark.parametrize("reads", range(1, 4))
def test_a_model_that_changes_meanwhile_does_not_embed_the_same_texts_over_and_over(engines, rows, old, alice, reads):
    """The catalogue changes after the given number of reads."""
    catalogues = [Catalogue.parse(MODELS.replace('name = "lexical"', f'name = "{name}"'), source="test") for name in ("lexical", "newer")]
    seen, embedder = count(), RecordingEmbedder()
    given = make_services(engines, embedder=embedder)
    changing = replace(given.embedding, catalogue=lambda: catalogues[next(seen) >= reads])
    embed_missing(replace(given, embedding=changing), user_id=alice.id, deadline=make_deadline())

    assert rows(EMBEDDED_BY, id=alice.id) == [("newer",)] * 2
    assert len(embedder.texts) <= 4


def test_close_to_the_deadline_nothing_is_embedded(engines, rows, old, alice):
    run_scheduled(make_services(engines), make_deadline(16.0))

    assert rows(EMBEDDED_BY, id=alice.id) == [("last-year",)] * 2


def test_a_user_whose_calls_fail_does_not_block_others(engines, rows, old, alice, bob):
    first, second = sorted([alice, bob], key=lambda person: person.id)
    embed = make_services(engines).embedding.embedder_for(None).embed_batch

    class Refusing(FailingEmbedder):
        def embed_batch(self, model_name, texts, **kwargs):
            return super().embed_batch() if str(first.id) in str(texts) else embed(model_name, texts, **kwargs)

    run_scheduled(make_services(engines, embedder=Refusing()), make_deadline())

    assert (rows(EMBEDDED_BY, id=first.id), rows(EMBEDDED_BY, id=second.id)) == ([("last-year",)] * 2, [("lexical",)] * 2)
