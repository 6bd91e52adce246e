"""Rate limits, budgets and usage, over the chat and conversation routes."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import event

from functions.chat.services import ChatServices
from functions.chat.turn.events import TurnCompleted, TurnFailed
from functions.chat.turn.images import Images
from parley.db.engine import make_engine
from parley.errors import Unavailable
from parley.llm import messages as llm
from parley.llm.catalogue import Catalogue
from parley.llm.circuit_breaker import CircuitBreaker
from parley.llm.errors import ProviderBusy, ProviderFailed, ProviderTimeout
from parley.llm.router import ModelRouter, RetryPolicy
from parley.metering.limits import BudgetExhausted, DefaultLimits
from parley.settings import DatabaseSettings
from tests.fakes.circuits import MemoryCircuits
from tests.support.api_gateway import PASSWORD
from tests.support.turns import HELLO, RecordingMemoryQueue, RecordingQueue, ScriptedProvider, events_of, no_embedder, take, take_numbered

PRICED = """
[roles]
chat = "safe"
[strategies.safe]
kind = "fallback"
models = ["first", "second"]
"""
MODEL = """
[models.{id}]
provider = "openai-compatible"
name = "{id}"
base_url = "http://127.0.0.1:9/v1"
max_output_tokens = 100
input_usd_per_mtok = 2.0
cached_input_usd_per_mtok = 0.5
output_usd_per_mtok = {price}
"""


class ScriptPlayer:
    """Plays one script for each call, whichever model is called."""

    def __init__(self, *scripts):
        self.scripts = list(scripts)

    def stream(self, model_name, request):
        yield from ScriptedProvider(self.scripts.pop(0)).stream(model_name, request)


def make_services(engine, *scripts, rate=1000, budget=5):
    catalogue = Catalogue.parse(PRICED + MODEL.format(id="first", price=10.0) + MODEL.format(id="second", price=20.0), source="test")
    player = ScriptPlayer(*scripts)
    router = ModelRouter(lambda model: player, CircuitBreaker(MemoryCircuits()), retry_policy=RetryPolicy(first_pause_s=0.0))
    return ChatServices(
        *(engine, lambda: catalogue, router, {}, DefaultLimits(rate, Decimal(budget))),
        *(RecordingQueue(), no_embedder, RecordingMemoryQueue(), Images("none"), no_embedder),
    )


def rows(postgres, person, columns="model, status, input_tokens, output_tokens, is_estimate"):
    return postgres.execute(f"SELECT {columns} FROM usage WHERE user_id = '{person.id}' ORDER BY id", dbname="parley")


def money(postgres, person):
    found = postgres.execute(f"SELECT spent_usd, reserved_usd FROM budgets WHERE user_id = '{person.id}'", dbname="parley")
    return [tuple(map(float, row)) for row in found]


def test_a_call_is_stored_and_charged_with_the_providers_usage(engine, postgres, alice):
    take(make_services(engine, HELLO), alice)

    assert rows(postgres, alice) == [("first", "completed", 1000, 100, False)]
    assert money(postgres, alice) == [(0.0024, 0)]


def test_every_call_of_a_turn_has_its_row(engine, postgres, alice):
    started, *_, completed = take(make_services(engine, [ProviderBusy("acme", retry_after_s=0.0)], HELLO), alice)

    # The ids of calls in one millisecond have no order.
    assert sorted(rows(postgres, alice)) == [("first", "failed", 0, 0, False), ("second", "completed", 1000, 100, False)]
    assert (started.model, completed.model) == ("first", "second")


def test_an_interrupted_answer_is_paid_by_a_flagged_estimate(engine, postgres, alice):
    *_, interrupted = take(make_services(engine, [llm.TextDelta("Good morning to you"), ProviderFailed("acme", "reset")]), alice)
    ((_, status, input_tokens, output_tokens, is_estimate),) = rows(postgres, alice)

    assert (status, output_tokens, is_estimate) == ("interrupted", 4, True)
    assert (interrupted.usage.input_tokens, interrupted.usage.output_tokens) == (input_tokens, 4)
    assert money(postgres, alice) == [(float(interrupted.usage.cost_usd), 0)]


def test_a_failed_turn_releases_its_reservation(engine, postgres, alice):
    services = make_services(engine, *([ProviderFailed("acme", "500")] for _ in range(3)))

    assert isinstance(take(services, alice)[-1], TurnFailed)
    assert money(postgres, alice) == [(0, 0)]


def test_the_reservation_is_the_cost_of_the_dearest_fallback(engine, postgres, alice):
    events = events_of(take_numbered(make_services(engine, HELLO), alice))
    next(events)
    ((_, reserved_usd),) = money(postgres, alice)
    list(events)

    # 100 answer tokens at 20 USD a million, and a prompt of at most one token a byte, with a vendor's additions.
    assert 0.002 + 0.002 < reserved_usd < 0.002 + 0.0025


def test_a_call_after_a_timed_out_call_reserves_again(engine, postgres, alice):
    reserved = []

    class Watching(ScriptPlayer):
        def stream(self, model_name, request):
            reserved.append(money(postgres, alice)[0][1])
            yield from super().stream(model_name, request)

    services = make_services(engine)
    watching = Watching([ProviderTimeout("acme", "late")], HELLO)
    services.router.provider_for = lambda model: watching
    take(services, alice)

    assert len(reserved) == 2
    assert money(postgres, alice)[0][1] == 0


def test_an_exhausted_budget_stores_nothing_and_calls_no_model(engine, conversation, alice):
    services = make_services(engine, budget="0.0001")
    with pytest.raises(BudgetExhausted):
        take(services, alice)

    assert conversation.get("/conversations", as_=alice).json["items"] == []


def test_with_the_database_down_no_model_is_called(database, alice):
    nowhere = make_engine(DatabaseSettings.model_validate(database.model_dump() | {"database_port": 9}))
    services = make_services(nowhere, HELLO)
    with pytest.raises(Unavailable):
        take(services, alice)

    assert services.router.provider_for(None).scripts == [HELLO]


def test_a_healthy_turn_takes_five_statements_one_to_recall_and_four(engine, alice):
    statements = []
    services = make_services(engine, HELLO, HELLO)
    started, *_ = take(services, alice)
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    events = events_of(take_numbered(services, alice, "again", conversation_id=started.conversation_id))
    next(events)
    beginning = len(statements)
    assert isinstance(list(events)[-1], TurnCompleted)

    assert (beginning, len(statements) - beginning) == (5, 1 + 4)


def test_too_many_requests_in_a_minute_get_retry_after(chat, alice, monkeypatch):
    allow(monkeypatch, rate=2)
    answers = [chat.post("/chat", {"message": "hello", "stream": False}, as_=alice) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert (answers[2].json["code"], 29 <= int(answers[2].headers["retry-after"]) <= 31) == ("rate_limited", True)


def allow(monkeypatch, *, rate=1000, budget="5"):
    """Return a function that changes the default limits of the chat function."""
    from functions.chat.app import app
    from functions.chat.app import services as served

    changed = replace(served, default_limits=DefaultLimits(rate, Decimal(budget)))
    monkeypatch.setitem(app._app.state._state, "services", changed)


def test_an_exhausted_budget_is_402_before_a_stream_begins(chat, alice, monkeypatch):
    allow(monkeypatch, budget="0.000001")
    answer = chat.post("/chat", {"message": "hello", "model": "priced"}, as_=alice)

    assert (answer.status, answer.json["code"]) == (402, "budget_exhausted")
    assert re.search(r"renews on \d{4}-\d\d-01 \(UTC\)", answer.json["detail"])


def test_an_unknown_model_is_404_and_names_the_available_ones(chat, alice):
    answer = chat.post("/chat", {"message": "hello", "model": "gpt-99"}, as_=alice)

    assert (answer.status, answer.json["code"]) == (404, "model_not_found")
    assert "offline, seeing, priced" in answer.json["detail"]


def test_too_long_a_prompt_is_413_with_the_numbers(chat, alice):
    answer = chat.post("/chat", {"message": "word " * 5000}, as_=alice)

    assert (answer.status, answer.json["code"]) == (413, "context_too_long")
    assert re.search(r"about 8\d{3} tokens.*accepts 1500", answer.json["detail"])


def test_a_user_sees_their_usage_by_day_and_model_and_the_remaining_budget(engine, chat, conversation, alice, bob):
    take(make_services(engine, HELLO, HELLO), alice)
    chat.post("/chat", {"message": "hello", "stream": False}, as_=alice)
    shown = conversation.get("/usage", as_=alice).json
    today = datetime.now(UTC).date().isoformat()

    assert [(line["day"], line["model"]) for line in shown["items"]] == [(today, "first"), (today, "offline")]
    assert shown["items"][0] | {"day": ""} == {"day": "", "model": "first", "input_tokens": 1000, "output_tokens": 100, "cost_usd": 0.0024}
    assert {name: shown["budget"][name] for name in ("monthly_usd", "spent_usd", "reserved_usd", "left_usd")} == {
        "monthly_usd": 5.0,
        "spent_usd": 0.0024,
        "reserved_usd": 0.0,
        "left_usd": 4.9976,
    }
    assert conversation.get("/usage", as_=bob).json["items"] == []


def test_an_overdrawn_budget_has_nothing_left(engine, conversation, change, alice):
    take(make_services(engine, HELLO), alice)
    change("UPDATE budgets SET spent_usd = 7 WHERE user_id = :u", u=alice.id)
    budget = conversation.get("/usage", as_=alice).json["budget"]

    assert (budget["spent_usd"], budget["left_usd"]) == (7, 0)


def test_usage_comes_in_pages(engine, chat, conversation, alice):
    take(make_services(engine, HELLO), alice)
    chat.post("/chat", {"message": "hello", "stream": False}, as_=alice)
    first = conversation.get("/usage?limit=1", as_=alice).json
    second = conversation.get(f"/usage?limit=1&cursor={first['next_cursor']}", as_=alice).json

    assert [page["items"][0]["model"] for page in (first, second)] == ["first", "offline"]
    assert second["next_cursor"] is None


def test_usage_outlives_the_conversation(engine, postgres, conversation, alice):
    started, *_ = take(make_services(engine, HELLO), alice)
    conversation.delete(f"/conversations/{started.conversation_id}", as_=alice)

    assert len(rows(postgres, alice)) == 1


def test_a_key_may_have_a_lower_limit_than_its_user(auth, chat, alice):
    body = {"name": "script", "password": PASSWORD, "rate_per_minute": 2, "monthly_budget_usd": 0.0}
    made = auth.post("/auth/api-keys", body, as_=alice).json
    key = replace(alice, claims={"sub": str(alice.id), "api_key_id": made["id"], "scope": "chat", "exp": alice.claims["exp"]})
    question = {"message": "hello", "stream": False}

    assert (made["rate_per_minute"], made["monthly_budget_usd"]) == (2, 0.0)
    assert chat.post("/chat", question | {"model": "priced"}, as_=key).status == 402
    assert [chat.post("/chat", question, as_=key).status for _ in range(3)] == [200, 200, 429]
    assert chat.post("/chat", question, as_=alice).status == 200
