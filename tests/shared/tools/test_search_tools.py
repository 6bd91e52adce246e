"""Tools that search the caller's own data."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import insert

from parley.clock import date_in_words, utc_now
from parley.db.tables import conversations, passages
from parley.db.transactions import user_scope
from parley.ids import new_id
from parley.llm.catalogue import Catalogue
from parley.llm.provider_registry import ProviderRegistry
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import DefaultLimits
from parley.tools.search_tools import make_search_tools
from tests.conftest import ROOT
from tests.support.builders import add_conversation, upload_document


@pytest.fixture
def ask(engine):
    """Run one of a user's search tools."""
    catalogue = Catalogue.load(ROOT / "tests" / "models.toml")
    embedding = MeteredEmbedder(engine, lambda: catalogue, {}, ProviderRegistry({}).embedder, DefaultLimits(1000, Decimal(5)))

    def ask(name, person, query):
        (tool,) = [one for one in make_search_tools(engine, embedding, person.principal) if one.spec.name == name]
        result = tool.run({"query": query, "user_id": "somebody else's"})
        assert isinstance(result, str) or result.ok
        return result if isinstance(result, str) else result.content

    return ask


@pytest.fixture
def handbook(documents, ingest, alice):
    document_id = upload_document(documents, alice, "# Safe\n\nThe code of the safe is 4711.", filename="handbook.md").json["id"]
    assert ingest.read(alice, document_id) == []
    return document_id


@pytest.fixture
def talk(engine, alice):
    conversation_id = new_id()
    of_it = {"user_id": alice.id, "conversation_id": conversation_id, "first_seq": 1, "last_seq": 2}
    with user_scope(engine, alice.id) as connection:
        connection.execute(insert(conversations).values(user_id=alice.id, id=conversation_id, title="Boats", last_seq=2))
        passage = {"id": new_id(), "text": "User: my boat is called Aurora", "said_at": datetime(2026, 3, 1, tzinfo=UTC)}
        connection.execute(insert(passages).values(of_it | passage))
    return conversation_id


def test_a_document_is_found_with_its_heading_path(ask, alice, handbook):
    assert f"handbook > Safe, document {handbook}:\nThe code of the safe is 4711." in ask("search_documents", alice, "code of the safe")


def test_nobody_finds_another_users_document(ask, bob, handbook):
    assert "4711" not in ask("search_documents", bob, "code of the safe")


def test_a_conversation_is_found_with_its_title_and_day(ask, alice, talk):
    found_text = ask("search_conversations", alice, "what is my boat called")

    assert found_text == f"Boats, 2026-03-01, Sunday, 1 March 2026, conversation {talk}:\nUser: my boat is called Aurora"


def test_the_five_best_matches_are_returned(ask, engine, alice):
    add_conversation(engine, alice, *(f"the boat {number}" for number in range(6)))

    assert ask("search_conversations", alice, "boat").count("User: the boat") == 5


def test_an_empty_search_result_is_a_message(ask, bob):
    assert ask("search_conversations", bob, "boats") == "Nothing was found in the user's past conversations."


@pytest.mark.parametrize("days", [3, 50, 100])
def test_what_was_said_on_the_named_day_is_found_first(ask, engine, alice, days):
    for age in (3, 50, 100):
        add_conversation(engine, alice, "the boat", day=utc_now() - timedelta(days=age))
    said_on = utc_now() - timedelta(days=days)

    assert ask("search_conversations", alice, f"the boat {days} days ago").startswith(f"the boat, {date_in_words(said_on.date())},")
