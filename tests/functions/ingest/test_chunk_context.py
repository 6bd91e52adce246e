"""What a model says of chunks: searched, never shown, paid for, and done without where it cannot be had."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from functions.ingest import pipeline
from functions.ingest.chunk_context import MAX_DESCRIPTION_CHARACTERS, MAX_PAUSES
from functions.ingest.messages import DocumentMessage
from functions.ingest.pipeline import NO_DESCRIPTIONS
from parley.db import search
from parley.db.transactions import user_scope
from parley.deadline import Deadline
from parley.llm import messages as llm
from parley.llm.catalogue import Catalogue
from parley.llm.circuit_breaker import CircuitBreaker
from parley.llm.errors import ProviderBusy, ProviderFailed, ProviderMisconfigured, ProviderTimeout
from parley.llm.router import ModelRouter, RetryPolicy
from parley.llm.vendors.offline import OfflineProvider
from parley.metering.limits import BudgetExhausted
from parley.metering.metered_call import MeteredCall
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
class Writer:
    """A model that answers with a text, or does something else first."""

    says: str = "From the chapter on zanzibar."
    first: Any = lambda count: None
    requests: list[llm.ModelRequest] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def stream(self, model_name: str, request: llm.ModelRequest) -> Any:
        self.requests.append(request)
        self.names.add(model_name)
        self.first(len(self.requests))
        yield llm.TextDelta(self.says)
        yield llm.Finished("stop", llm.Usage(100, 10))


@dataclass
class Delays:
    """A queue that keeps how long each message is to wait."""

    kept: list[float] = field(default_factory=list)

    def send(self, *_: Any, delay_s: float = 0, **__: Any) -> None:
        self.kept.append(delay_s)


@pytest.fixture
def read(ingest, documents, alice):
    """Upload a text and have it read while this model describes; return its id. Again, with an id: go on."""
    from functions.ingest.app import services

    def read(writer, *, content=LONG, id=None, describes_chunks=True, models=MODELS, **fields):
        id = id or upload_document(documents, alice, content, filename="notes.md").json["id"]
        router = ModelRouter(lambda model: writer, CircuitBreaker(MemoryCircuits()), retry_policy=RetryPolicy(calls=1, first_pause_s=0.0))
        catalogue = Catalogue.parse(models, source="test")
        given = replace(services, describes_chunks=describes_chunks, router=router, catalogue=lambda: catalogue, **fields)
        pipeline.ingest(given, DocumentMessage(alice.id, UUID(id)), deadline=Deadline.after(300))
        return id

    return read


def found(owner, words):
    """Return the documents that have these words, each with its weight."""
    from functions.ingest.app import services

    with user_scope(services.engine, owner.id) as connection:
        return {str(one.document_id): one.bm25 for one in search.search_chunks(connection, words, None, limit=100)}


def test_without_the_switch_no_model_is_asked(ingest, read, postgres):
    from functions.ingest.app import services

    id = read(writer := Writer(), describes_chunks=services.describes_chunks)

    assert (services.describes_chunks, writer.requests) == (False, [])
    assert postgres.execute(f"SELECT DISTINCT description FROM chunks WHERE document_id = '{id}'") == [(None,)]


def test_a_chunk_is_found_by_a_word_of_its_description(read, alice):
    id, other = read(Writer(), content="Doors close at nine."), read(Writer(says="Of the sea."), content="Bars close at one.")
    weights = found(alice, "zanzibar")

    assert weights[id] > 0
    assert other not in weights


def test_a_description_is_shown_nowhere(documents, read, alice):
    id = read(Writer(), content="Shops close at eight.")
    paths = [f"/documents/{id}", f"/documents/{id}/chunks", "/documents/search?q=zanzibar&mode=text"]
    shown = [documents.get(path, as_=alice).json for path in paths]

    assert id in str(shown[2])
    assert "zanzibar" not in str([shown[0], shown[1], shown[2]["items"]])


def test_the_vector_is_made_of_the_description_too(read, postgres):
    id = read(Writer(), content="Gates close at nine.")
    (described,) = postgres.execute(f"SELECT embedding::text FROM chunks WHERE document_id = '{id}'")
    postgres.execute(f"UPDATE chunks SET description = NULL, embedding = NULL, embedding_model = NULL WHERE document_id = '{id}'")
    read(Writer(), id=id, describes_chunks=False)

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
    assert len(kept) <= MAX_DESCRIPTION_CHARACTERS


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


BUSY = failing(ProviderBusy("acme", retry_after_s=90))


def test_where_the_model_is_of_no_use_the_document_is_ready_and_says_so(documents, read, alice):
    id = read(writer := Writer(first=failing(ProviderMisconfigured("acme", "401"))))
    shown = documents.get(f"/documents/{id}", as_=alice).json

    assert (shown["status"], shown["note"], len(writer.requests)) == ("ready", NO_DESCRIPTIONS, 1)
    assert found(alice, "sentence")[id] > 0


@pytest.fixture
def taken_up(postgres, read):
    """Go on with a document that was put off, as after its pause, with so many attempts behind it."""

    def taken_up(id, writer, *, attempts, **fields):
        postgres.execute(f"UPDATE documents SET leased_until = NULL, attempts = {attempts} WHERE id = '{id}'")
        return read(writer, id=id, **fields)

    return taken_up


def test_a_model_that_is_busy_is_asked_again_later_for_what_is_missing(documents, read, taken_up, postgres, alice):
    id = read(Writer(first=lambda count: BUSY(count) if count == 3 else None))
    waiting = documents.get(f"/documents/{id}", as_=alice).json
    ((done, chunks),) = postgres.execute(f"SELECT count(description), count(*) FROM chunks WHERE document_id = '{id}'")
    taken_up(id, writer := Writer(), attempts=0)
    shown = documents.get(f"/documents/{id}", as_=alice).json

    assert (waiting["status"], done) == ("processing", 2)
    assert (shown["status"], shown["note"], len(writer.requests)) == ("ready", None, chunks - 2)


def test_what_is_put_off_is_left_alone_until_then(read):
    id = read(Writer(first=BUSY))
    read(writer := Writer(), id=id)

    assert writer.requests == []


def test_a_file_read_to_its_end_is_not_read_again(documents, read, taken_up, monkeypatch, alice):
    id = read(Writer(first=BUSY))
    monkeypatch.setattr("functions.ingest.pipeline.read_blocks", lambda *_: pytest.fail("it is read again"))
    taken_up(id, Writer(), attempts=0)

    assert documents.get(f"/documents/{id}", as_=alice).json["status"] == "ready"


@pytest.mark.parametrize(
    ("attempts", "failure", "wait_s"),
    [(0, ProviderFailed("acme", "down"), 60), (4, ProviderTimeout("acme", "late"), 900), (0, ProviderBusy("acme", retry_after_s=90), 90)],
)
def test_pauses_grow_and_are_as_long_as_the_vendor_wishes(read, taken_up, attempts, failure, wait_s):
    id, queue = read(Writer(first=BUSY)), Delays()
    taken_up(id, Writer(first=failing(failure)), attempts=attempts, queue=queue)

    assert queue.kept[-1] == wait_s


def test_a_model_that_stays_busy_is_done_without_in_the_end(documents, read, taken_up, alice):
    id = read(Writer(first=BUSY))
    taken_up(id, Writer(first=BUSY), attempts=MAX_PAUSES - 1)
    shown = documents.get(f"/documents/{id}", as_=alice).json

    assert (shown["status"], shown["note"]) == ("ready", NO_DESCRIPTIONS)


def test_what_went_without_once_waits_for_no_model_again(documents, read, taken_up, postgres, alice):
    id = read(Writer(first=failing(ProviderMisconfigured("acme", "401"))))
    postgres.execute(f"UPDATE documents SET status = 'processing' WHERE id = '{id}'")
    postgres.execute(f"UPDATE chunks SET embedding = NULL, embedding_model = NULL WHERE document_id = '{id}' AND number > 1")
    taken_up(id, writer := Writer(first=BUSY), attempts=0)

    assert (documents.get(f"/documents/{id}", as_=alice).json["status"], len(writer.requests)) == ("ready", 1)


def test_the_offline_model_stands_in_for_no_other(read):
    other = '[models.other]\nprovider = "openai-compatible"\nname = "other"\nbase_url = "http://127.0.0.1:9/v1"\n'
    best = '[strategies.best]\nkind = "fallback"\nmodels = ["small", "other"]\n'
    read(writer := Writer(), models=MODELS.replace('chat = "small"', 'chat = "best"') + other + best)

    assert writer.names == {"other"}


def test_where_the_budget_does_not_last_the_document_is_ready_and_says_so(documents, read, alice, monkeypatch):
    class UnaffordableCall(MeteredCall):
        def reserve(self) -> None:
            raise BudgetExhausted(alice.id, amount_usd=Decimal(1), resets_at=datetime.now(UTC))

    monkeypatch.setattr("parley.metering.completion.MeteredCall", UnaffordableCall)
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
