"""What a model says of chunks: searched, never shown, paid for, and done without where it cannot be had."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from functions.ingest import ingesting
from functions.ingest.describing import LONGEST
from functions.ingest.ingesting import NO_DESCRIPTIONS
from functions.ingest.notices import Notice
from parley.deadline import Deadline
from parley.limits import BudgetExhausted
from parley.llm import types as llm
from parley.llm.breaker import Breaker
from parley.llm.failures import ProviderFailed
from parley.llm.models import Catalogue
from parley.llm.offline import OfflineProvider
from parley.llm.router import Patience, Router
from tests.fakes.circuits import MemoryCircuits
from tests.ingesting import upload

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
class Writer:
    """A model that answers with a text, or does something else first."""

    says: str = "From the chapter on zanzibar."
    first: Any = lambda count: None
    requests: list[llm.Request] = field(default_factory=list)

    def stream(self, model_name: str, request: llm.Request) -> Any:
        self.requests.append(request)
        self.first(len(self.requests))
        yield llm.TextDelta(self.says)
        yield llm.Finished("stop", llm.Usage(100, 10))


@pytest.fixture
def read(ingest, documents, alice):
    """Upload a text and have it read while this model describes; return its id. Again, with an id: go on."""
    from functions.ingest.app import desk

    def read(writer, *, content=LONG, id=None, describes=True, models=MODELS, **fields):
        id = id or upload(documents, alice, content, filename="notes.md").json["id"]
        router = Router(lambda model: writer, Breaker(MemoryCircuits()), patience=Patience(calls=1, first_pause_s=0.0))
        catalogue = Catalogue.parse(models, source="test")
        given = replace(desk, describes=describes, router=router, catalogue=lambda: catalogue, **fields)
        ingesting.ingest(given, Notice(alice.id, UUID(id)), deadline=Deadline.after(300))
        return id

    return read


def found(documents, alice, words):
    return documents.get(f"/documents/search?q={words}&mode=text", as_=alice).json["items"]


def test_without_the_switch_no_model_is_asked(ingest, read, postgres):
    from functions.ingest.app import desk

    id = read(writer := Writer(), describes=desk.describes)

    assert (desk.describes, writer.requests) == (False, [])
    assert postgres.execute(f"SELECT DISTINCT description FROM chunks WHERE document_id = '{id}'") == [(None,)]


def test_a_chunk_is_found_by_a_word_of_its_description_and_shown_without_it(documents, read, alice):
    id = read(Writer(), content="Doors close at nine.")
    items = found(documents, alice, "zanzibar")

    assert items[0]["document_id"] == id
    assert "zanzibar" not in str(items)
    assert "zanzibar" not in str(documents.get(f"/documents/{id}/chunks", as_=alice).json)


def test_the_vector_is_made_of_the_description_too(read, postgres):
    id = read(Writer(), content="Gates close at nine.")
    (described,) = postgres.execute(f"SELECT embedding::text FROM chunks WHERE document_id = '{id}'")
    postgres.execute(f"UPDATE chunks SET description = NULL, embedding = NULL, embedding_model = NULL WHERE document_id = '{id}'")
    read(Writer(), id=id, describes=False)

    assert postgres.execute(f"SELECT embedding::text FROM chunks WHERE document_id = '{id}'") != [described]


def test_the_model_is_shown_the_same_document_first_and_the_piece_last(read):
    read(writer := Writer())
    ends = [request.messages[-1].text for request in writer.requests]

    assert len(ends) == len(set(ends)) >= 3
    assert len({request.system for request in writer.requests}) == 1
    assert all(f"Sentence {number} tells" in writer.requests[0].system for number in range(3))
    assert all(not request.tools for request in writer.requests)


def test_of_a_document_too_long_for_the_model_it_is_shown_the_headings_and_what_stands_around(read):
    read(writer := Writer(), models=MODELS.replace("8000", "2000"))
    second = writer.requests[1]

    assert "Part 2" in second.system
    assert "Sentence" not in second.system
    assert "Before it stands:" in second.messages[-1].text


def test_an_answer_is_kept_as_one_short_line(read, postgres):
    id = read(Writer(says="Of\0 the\n\nsea. " * 100), content="Ships sail at ten.")
    ((kept,),) = postgres.execute(f"SELECT description FROM chunks WHERE document_id = '{id}'")

    assert kept.startswith("Of the sea. Of the sea.")
    assert len(kept) <= LONGEST


def test_who_goes_on_asks_only_for_what_is_missing(read, postgres, alice):
    def die(count):
        if count == 2:
            raise MemoryError("killed")

    with pytest.raises(MemoryError):
        read(Writer(first=die))
    ((id, done, chunks),) = postgres.execute(
        f"SELECT document_id, count(description), count(*) FROM chunks WHERE user_id = '{alice.id}' GROUP BY 1"
    )
    read(writer := Writer(), id=str(id))

    assert (done, len(writer.requests)) == (1, chunks - 1)


def failing(exc):
    def first(count):
        raise exc

    return first


def test_where_the_model_fails_the_document_is_ready_and_says_so(documents, read, alice):
    id = read(writer := Writer(first=failing(ProviderFailed("acme", "down"))))
    shown = documents.get(f"/documents/{id}", as_=alice).json

    assert (shown["status"], shown["note"], len(writer.requests)) == ("ready", NO_DESCRIPTIONS, 1)
    assert found(documents, alice, "sentence") != []


def test_where_the_budget_does_not_last_the_document_is_ready_and_says_so(documents, read, alice, monkeypatch):
    def reserve(*_: Any) -> None:
        raise BudgetExhausted(alice.id, amount_usd=Decimal(1), resets_at=datetime.now(UTC))

    monkeypatch.setattr("parley.bill.Bill.reserve", reserve)
    shown = documents.get(f"/documents/{read(writer := Writer())}", as_=alice).json

    assert (shown["status"], shown["note"], writer.requests) == ("ready", NO_DESCRIPTIONS, [])


def test_the_owner_pays_for_each_description(read, postgres, alice):
    read(writer := Writer())
    (line,) = postgres.execute(
        f"SELECT count(*), sum(cost_usd) > 0 FROM usage WHERE user_id = '{alice.id}' AND purpose = 'describe' AND status = 'completed'"
    )

    assert line == (len(writer.requests), True)


def test_the_offline_model_describes_by_title_heading_and_first_sentence(read, postgres):
    id = read(OfflineProvider(), content="# Opening hours\n\nDoors open at seven. Come early.")

    assert postgres.execute(f"SELECT description FROM chunks WHERE document_id = '{id}'") == [
        ("From notes, Opening hours: Doors open at seven.",)
    ]
