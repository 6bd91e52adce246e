"""Completions that end early."""

import threading
from dataclasses import replace

import pytest

from functions.chat.errors import LoggedTurnFailure
from functions.chat.openai_api.embeddings import embed_texts
from functions.chat.openai_api.errors import openai_error_response
from functions.chat.openai_api.schemas import CompletionIn, EmbeddingsIn
from functions.chat.openai_api.stored_conversation import answer_in_conversation
from parley.deadline import Deadline
from parley.llm.embedder import EmbeddingResult
from parley.llm.errors import ProviderBusy, ProviderFailed, ProviderTimeout
from tests.fakes.vendor import streams
from tests.support.api_gateway import Function, rest_event
from tests.support.turns import HELLO, ScriptedProvider, make_services

BODY = {"model": "offline", "messages": [{"role": "user", "content": "hello"}]}
NEW = {"X-Conversation-Id": "new"}


@pytest.mark.parametrize(
    ("headers", "count"),
    [
        (NEW, "SELECT count(*) AS n FROM turns WHERE user_id = :u AND status = 'completed'"),
        ({}, "SELECT count(*) AS n FROM usage WHERE user_id = :u"),
    ],
)
def test_a_stream_that_is_closed_early_is_stored_and_paid_for(chat, alice, row, headers, count):
    """As when the runtime's connection breaks: no work may be left for the worker's next invocation."""
    chunks = chat.handler(rest_event("POST", "/v1/chat/completions", BODY | {"stream": True}, as_=alice, headers=headers), Function.CONTEXT)
    next(chunks), next(chunks), next(chunks)
    chunks.close()

    assert row(count, u=alice.id).n == 1


def answer_in_new_conversation(engine, person, provider):
    body = CompletionIn.model_validate(BODY)
    return answer_in_conversation(
        make_services(engine, provider), person.principal, "new", body, deadline=Deadline.after(60), request_id="r"
    )


def test_the_sdk_is_told_not_to_send_a_stored_question_again(engine, alice):
    stream = answer_in_new_conversation(engine, alice, ScriptedProvider([ProviderBusy("scripted", retry_after_s=100)]))
    with pytest.raises(LoggedTurnFailure) as failed:
        list(stream.events)
    answer = openai_error_response(failed.value, "r")

    assert (answer.status_code, answer.headers["x-should-retry"], "retry-after" in answer.headers) == (503, "false", True)


def test_a_superseded_turn_is_an_error_and_no_completion(engine, alice, age):
    def interrupt():
        from parley.turn_recovery import interrupt_if_stale

        turn_id = latest()
        age(turn_id)
        assert interrupt_if_stale(engine, turn_id, user_id=alice.id)

    def latest():
        from sqlalchemy import text

        from parley.db.transactions import user_scope

        with user_scope(engine, alice.id) as connection:
            return connection.execute(text("SELECT id FROM turns")).scalar_one()

    stream = answer_in_new_conversation(engine, alice, ScriptedProvider([HELLO[0], interrupt, *HELLO[1:]]))
    with pytest.raises(LoggedTurnFailure):
        list(stream.events)


def test_a_question_without_text_is_refused(chat, alice):
    messages = [{"role": "user", "content": ""}]
    answer = chat.post("/v1/chat/completions", BODY | {"messages": messages}, as_=alice, headers=NEW)

    assert (answer.status, answer.json["error"]["param"]) == (400, "messages[0].content")


class BreakingEmbedder:
    """Embeds the first text and fails on all others."""

    dimensions, batch_texts, batch_tokens = 16, 1, 1000

    def embed_batch(self, model_name, texts, *, purpose):
        if texts != ["one"]:
            raise ProviderFailed("scripted", "500")
        return EmbeddingResult([[0.0] * 16], 7)


class SlowEmbedder(BreakingEmbedder):
    """Blocks until the test releases it."""

    def __init__(self):
        self.let = threading.Event()

    def embed_batch(self, model_name, texts, *, purpose):
        self.let.wait(10)
        return EmbeddingResult([[0.0] * 16], 7)


def embed(services, person, *texts, time_limit_s=60):
    body = EmbeddingsIn(model="lexical", input=list(texts))
    return embed_texts(services, person.principal, body, deadline=Deadline.after(time_limit_s))


def test_embedding_has_no_more_time_than_its_function(engine, alice):
    slow = SlowEmbedder()
    with pytest.raises(ProviderTimeout):
        embed(replace(make_services(engine, None), embedder_for=lambda model: slow), alice, "one", time_limit_s=0.1)
    slow.let.set()


def test_a_model_that_keeps_failing_to_embed_for_several_users_opens_its_circuit(engine, alice, bob):
    services = replace(make_services(engine, None), embedder_for=lambda model: BreakingEmbedder())
    for person in (alice, bob, alice, bob, alice):
        with pytest.raises(ProviderFailed):
            embed(services, person, "two")

    with pytest.raises(ProviderBusy):
        embed(services, bob, "one")


def test_one_users_failures_to_embed_open_no_circuit(engine, alice, bob):
    services = replace(make_services(engine, None), embedder_for=lambda model: BreakingEmbedder())
    for _ in range(9):
        with pytest.raises(ProviderFailed):
            embed(services, alice, "two")

    assert len(embed(services, bob, "one").data) == 1


def test_batches_embedded_before_a_failure_are_paid_for(engine, alice, row):
    services = replace(make_services(engine, None), embedder_for=lambda model: BreakingEmbedder())
    with pytest.raises(ProviderFailed):
        embed(services, alice, "one", "two")

    assert row("SELECT input_tokens, status FROM usage WHERE user_id = :u", u=alice.id) == (7, "failed")


def test_a_stream_whose_client_has_left_stops_at_the_next_piece(chat, vendor, alice, row):
    """Where the platform breaks the function's connection: the vendor is asked for no further text."""
    is_left = threading.Event()
    vendor.script = streams(*["word "] * 50, before=lambda index: index == 3 and is_left.wait(10))
    body = BODY | {"model": "compatible", "stream": True}
    chunks = chat.handler(rest_event("POST", "/v1/chat/completions", body, as_=alice, headers={}), Function.CONTEXT)
    for _ in range(4):
        next(chunks)
    chunks.close()
    is_left.set()

    assert row("SELECT status FROM usage WHERE user_id = :u", u=alice.id).status == "stopped"
