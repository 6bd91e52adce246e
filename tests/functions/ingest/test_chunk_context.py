"""Descriptions of chunks: they are searched, never shown, billed, and dispensable."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from functions.ingest.chunk_context import DESCRIBE_PROMPT
from functions.ingest.pipeline import NO_DESCRIPTIONS
from parley.db.chunks import search_chunks
from parley.db.transactions import user_scope
from parley.llm.errors import ProviderBusy, ProviderFailed, ProviderMisconfigured, ProviderTimeout
from parley.llm.tokens import estimate_tokens
from parley.llm.vendors.offline import OfflineProvider
from parley.metering.limits import BudgetExhausted
from parley.metering.metered_call import MeteredCall
from tests.functions.ingest.descriptions import LONG, MODELS, DelayRecordingQueue, DescribingProvider


def score_by_document(owner, words):
    """Return the score of each document that contains the words."""
    from functions.ingest.app import services

    with user_scope(services.engine, owner.id) as connection:
        return {str(chunk.document_id): chunk.bm25 for chunk in search_chunks(connection, words, None, limit=100)}


def test_no_model_is_called_unless_enabled(ingest, read, postgres):
    from functions.ingest.app import services

    id = read(writer := DescribingProvider(), describes_chunks=services.describes_chunks)

    assert (services.describes_chunks, writer.requests) == (False, [])
    assert postgres.execute(f"SELECT DISTINCT description FROM chunks WHERE document_id = '{id}'") == [(None,)]


def test_a_chunk_is_found_by_a_word_of_its_description(read, alice):
    id, other = (
        read(DescribingProvider(), content="Doors close at nine."),
        read(DescribingProvider(says="Of the sea."), content="Bars close at one."),
    )
    weights = score_by_document(alice, "zanzibar")

    assert weights[id] > 0
    assert other not in weights


def test_no_api_shows_a_description(documents, read, alice):
    id = read(DescribingProvider(), content="Shops close at eight.")
    paths = [f"/documents/{id}", f"/documents/{id}/chunks", "/documents/search?q=zanzibar&mode=text"]
    shown = [documents.get(path, as_=alice).json for path in paths]

    assert id in str(shown[2])
    assert "zanzibar" not in str([shown[0], shown[1], shown[2]["items"]])


def test_the_vector_covers_the_description(read, postgres):
    id = read(DescribingProvider(), content="Gates close at nine.")
    (described,) = postgres.execute(f"SELECT embedding::text FROM chunks WHERE document_id = '{id}'")
    postgres.execute(f"UPDATE chunks SET description = NULL, embedding = NULL, embedding_model = NULL WHERE document_id = '{id}'")
    read(DescribingProvider(), id=id, describes_chunks=False)

    assert postgres.execute(f"SELECT embedding::text FROM chunks WHERE document_id = '{id}'") != [described]


def test_each_prompt_begins_with_the_same_document_and_ends_with_the_chunk(read):
    read(writer := DescribingProvider())
    ends = [request.messages[-1].text for request in writer.requests]

    assert len(ends) == len(set(ends)) >= 3
    assert len({request.system for request in writer.requests}) == 1
    assert all(f"Sentence {number} tells" in writer.requests[0].system for number in range(3))
    assert all(not request.tools for request in writer.requests)


def test_the_prompt_of_a_long_document_has_headings_and_neighbouring_chunks(read):
    read(writer := DescribingProvider(), models=MODELS.replace("8000", "2000"))
    second = writer.requests[1]

    assert "Part 2" in second.system
    assert "Sentence" not in second.system
    assert "Text before the chunk:" in second.messages[-1].text


def test_a_whole_document_is_in_the_prompt_only_if_the_instructions_fit_beside_it(read, postgres):
    id = read(DescribingProvider())
    ((tokens,),) = postgres.execute(f"SELECT sum(tokens) FROM chunks WHERE document_id = '{id}'")
    beside = 500 + 800 + estimate_tokens(DESCRIBE_PROMPT)
    read(writer := DescribingProvider(), content=LONG.replace("Part 2", "Part 9"), models=MODELS.replace("8000", str(tokens + beside - 10)))

    assert "Sentence" not in writer.requests[0].system


@pytest.mark.parametrize("context", [1000, 1500])
def test_a_model_without_room_for_the_document_describes_the_chunks_all_the_same(read, postgres, context):
    """Cutting a text to less than an empty one takes must end."""
    id = read(writer := DescribingProvider(), models=MODELS.replace("8000", str(context)))

    assert writer.requests[0].system.startswith(DESCRIBE_PROMPT)
    assert postgres.execute(f"SELECT DISTINCT description FROM chunks WHERE document_id = '{id}'") == [("From the chapter on zanzibar.",)]


def test_a_description_is_stored_as_one_short_line(read, postgres):
    id = read(DescribingProvider(says="Of\0 the\n\nsea. " * 100), content="Ships sail at ten.")
    ((description,),) = postgres.execute(f"SELECT description FROM chunks WHERE document_id = '{id}'")

    assert description.startswith("Of the sea. Of the sea.")
    assert len(description) == 400


def test_a_refusal_is_no_description(read, postgres):
    id = read(DescribingProvider(says="I cannot help with that.", refuses=True), content="Kites fly at ten.")

    assert postgres.execute(f"SELECT description FROM chunks WHERE document_id = '{id}'") == [("",)]


def test_a_resumed_run_describes_only_the_remaining_chunks(read, postgres, alice):
    def die(count):
        if count == 2:
            raise MemoryError("killed")

    with pytest.raises(MemoryError):
        read(DescribingProvider(first=die))
    ((id, done, chunks),) = postgres.execute(
        f"SELECT document_id, count(description), count(*) FROM chunks WHERE user_id = '{alice.id}' GROUP BY 1"
    )
    read(writer := DescribingProvider(), id=str(id))

    assert (done, len(writer.requests)) == (1, chunks - 1)


def failing(exc):
    def first(count):
        raise exc

    return first


BUSY = failing(ProviderBusy("acme", retry_after_s=90))


def test_if_the_model_fails_for_good_the_document_is_ready_with_a_note(documents, read, alice):
    id = read(writer := DescribingProvider(first=failing(ProviderMisconfigured("acme", "401"))))
    shown = documents.get(f"/documents/{id}", as_=alice).json

    assert (shown["status"], shown["note"], len(writer.requests)) == ("ready", NO_DESCRIPTIONS, 1)
    assert score_by_document(alice, "sentence")[id] > 0


@pytest.fixture
def resume(postgres, read):
    """Continue a delayed document after its pause, as if after so many attempts."""

    def resume(id, writer, *, attempts, **fields):
        postgres.execute(f"UPDATE documents SET leased_until = NULL, attempts = {attempts} WHERE id = '{id}'")
        return read(writer, id=id, **fields)

    return resume


def test_a_busy_model_is_called_again_later_for_the_remaining_chunks(documents, read, resume, postgres, alice):
    id = read(DescribingProvider(first=lambda count: BUSY(count) if count == 3 else None))
    waiting = documents.get(f"/documents/{id}", as_=alice).json
    ((done, chunks),) = postgres.execute(f"SELECT count(description), count(*) FROM chunks WHERE document_id = '{id}'")
    resume(id, writer := DescribingProvider(), attempts=0)
    shown = documents.get(f"/documents/{id}", as_=alice).json

    assert (waiting["status"], done) == ("processing", 2)
    assert (shown["status"], shown["note"], len(writer.requests)) == ("ready", None, chunks - 2)


def test_a_delayed_document_is_left_alone_until_its_time(read):
    id = read(DescribingProvider(first=BUSY))
    read(writer := DescribingProvider(), id=id)

    assert writer.requests == []


def test_a_fully_read_file_is_not_read_again(documents, read, resume, monkeypatch, alice):
    id = read(DescribingProvider(first=BUSY))
    monkeypatch.setattr("functions.ingest.pipeline.read_blocks", lambda *_: pytest.fail("it is read again"))
    resume(id, DescribingProvider(), attempts=0)

    assert documents.get(f"/documents/{id}", as_=alice).json["status"] == "ready"


@pytest.mark.parametrize(
    ("attempts", "failure", "wait_s"),
    [
        (0, ProviderFailed("acme", "down"), 60),
        (4, ProviderTimeout("acme", "late"), 900),
        (0, ProviderBusy("acme", retry_after_s=90), 90),
        (0, ProviderBusy("acme", retry_after_s=900), 900),
    ],
)
def test_delays_grow_and_respect_the_vendors_wish(read, resume, attempts, failure, wait_s):
    id, queue = read(DescribingProvider(first=BUSY)), DelayRecordingQueue()
    resume(id, DescribingProvider(first=failing(failure)), attempts=attempts, queue=queue)

    assert queue.delays[-1] == wait_s


def test_after_eight_delays_the_document_continues_without_descriptions(documents, read, resume, alice):
    id = read(DescribingProvider(first=BUSY))
    resume(id, DescribingProvider(first=BUSY), attempts=7)
    shown = documents.get(f"/documents/{id}", as_=alice).json

    assert (shown["status"], shown["note"]) == ("ready", NO_DESCRIPTIONS)


def test_a_model_that_asks_for_more_than_a_quarter_of_an_hour_is_not_waited_for(documents, read, resume, alice):
    id = read(DescribingProvider(first=BUSY))
    resume(id, DescribingProvider(first=failing(ProviderBusy("acme", retry_after_s=901))), attempts=0)

    assert documents.get(f"/documents/{id}", as_=alice).json["note"] == NO_DESCRIPTIONS


def test_a_document_that_once_continued_without_descriptions_never_waits_again(documents, read, resume, postgres, alice):
    id = read(DescribingProvider(first=failing(ProviderMisconfigured("acme", "401"))))
    postgres.execute(f"UPDATE documents SET status = 'processing' WHERE id = '{id}'")
    postgres.execute(f"UPDATE chunks SET embedding = NULL, embedding_model = NULL WHERE document_id = '{id}' AND number > 1")
    resume(id, writer := DescribingProvider(first=BUSY), attempts=0)

    assert (documents.get(f"/documents/{id}", as_=alice).json["status"], len(writer.requests)) == ("ready", 1)


def test_the_offline_model_is_not_a_fallback(read):
    other = '[models.other]\nprovider = "openai-compatible"\nname = "other"\nbase_url = "http://127.0.0.1:9/v1"\n'
    best = '[strategies.best]\nkind = "fallback"\nmodels = ["small", "other"]\n'
    read(writer := DescribingProvider(), models=MODELS.replace('chat = "small"', 'chat = "best"') + other + best)

    assert writer.names == {"other"}


def test_if_the_budget_is_exhausted_the_document_is_ready_with_a_note(documents, read, alice, monkeypatch):
    class UnaffordableCall(MeteredCall):
        def reserve(self) -> None:
            raise BudgetExhausted(alice.id, amount_usd=Decimal(1), resets_at=datetime.now(UTC))

    monkeypatch.setattr("parley.metering.completion.MeteredCall", UnaffordableCall)
    shown = documents.get(f"/documents/{read(writer := DescribingProvider())}", as_=alice).json

    assert (shown["status"], shown["note"], writer.requests) == ("ready", NO_DESCRIPTIONS, [])


def test_the_owner_pays_for_each_description(read, postgres, alice):
    read(writer := DescribingProvider())
    (line,) = postgres.execute(
        f"SELECT count(*), sum(cost_usd) > 0 FROM usage WHERE user_id = '{alice.id}' AND purpose = 'describe' AND status = 'completed'"
    )

    assert line == (len(writer.requests), True)


def test_the_offline_model_describes_by_title_heading_and_first_sentence(read, postgres):
    id = read(OfflineProvider(), content="# Opening hours\n\nDoors open at seven. Come early.")

    assert postgres.execute(f"SELECT description FROM chunks WHERE document_id = '{id}'") == [
        ("From notes, Opening hours: Doors open at seven.",)
    ]
