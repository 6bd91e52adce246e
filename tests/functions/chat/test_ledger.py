"""The ledger compared with the vendors' bills over many mixed turns with faults. `make ledger` takes a thousand turns."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

import pytest

from functions.chat.services import ChatServices
from parley.llm.catalogue import Catalogue
from parley.llm.circuit_breaker import CircuitBreaker
from parley.llm.provider_registry import ProviderRegistry
from parley.llm.router import ModelRouter, RetryPolicy
from parley.metering.limits import DefaultLimits
from tests.fakes.billed_provider import ANTHROPIC, CHAT, MOVES, PRICES, WORDS, BilledProvider, InvoiceLine, ShuffledMoves
from tests.fakes.circuits import MemoryCircuits
from tests.fakes.vendor import running_vendor
from tests.support.api_gateway import PASSWORD, Answer, Function, Person
from tests.support.postgres import RunningPostgres

TURNS = int(os.environ.get("PARLEY_TEST_TURNS", "120"))
TURN_S = 5.0  # on the circuit breakers' clock, so that open circuits also close again
SUMS = "sum(input_tokens), sum(output_tokens), sum(cached_input_tokens), sum(cost_usd)"
STRATEGIES = """
[roles]
chat = "safe"
[strategies.safe]
kind = "fallback"
models = ["gpt", "claude"]
[strategies.other]
kind = "fallback"
models = ["claude", "gpt"]
"""
MODEL = """
[models.{id}]
provider = "{provider}"
name = "{id}"
base_url = "{url}"
max_output_tokens = 500
"""


@dataclass(frozen=True)
class Run:
    """The turns taken, and the vendors' records of their calls."""

    postgres: RunningPostgres
    users: list[Person]
    answers: list[Answer]
    sellers: list[BilledProvider]

    def lines(self, *, is_reported: bool) -> list[InvoiceLine]:
        return [line for seller in self.sellers for line in seller.lines if line.is_reported == is_reported]

    def rows(self, columns: str, rest: str = "", *, table: str = "usage") -> list[tuple]:
        users = ", ".join(f"'{user.id}'" for user in self.users)
        return self.postgres.execute(f"SELECT {columns} FROM {table} WHERE user_id IN ({users}) {rest}")


@pytest.fixture(scope="module")
def run(chat, auth, postgres) -> Iterator[Run]:
    """Take the turns; the random choices are the same in each run."""
    users = [Person.registered(auth) for _ in range(3)]
    with billing_vendors(Random(5)) as (sellers, services), pytest.MonkeyPatch.context() as patch:
        patch.setitem(chat_state(), "services", services)
        answers = drive(chat, [*users, with_key(auth, users[0])], services.router.breaker._store, Random(7))
        yield Run(postgres, users, answers, sellers)


def chat_state():
    from functions.chat.app import app

    return app._app.state._state


def with_key(auth: Function, user: Person) -> Person:
    """Return the user as a caller with an API key."""
    made = auth.post("/auth/api-keys", {"name": "script", "password": PASSWORD, "monthly_budget_usd": 900.0}, as_=user).json
    return replace(user, claims={"sub": str(user.id), "api_key_id": made["id"], "scope": "chat", "exp": user.claims["exp"]})


@contextmanager
def billing_vendors(draw: Random) -> Iterator[tuple[list[BilledProvider], ChatServices]]:
    """Run two fake vendors, and yield the services that call them."""
    circuits = MemoryCircuits()
    with running_vendor() as first, running_vendor() as second:
        deck = ShuffledMoves(draw)
        sellers = [BilledProvider(first, CHAT, deck), BilledProvider(second, ANTHROPIC, deck)]
        first.script, second.script = sellers
        source = STRATEGIES + model("gpt", "openai-compatible", first.url) + model("claude", "anthropic", second.root)
        catalogue, providers = Catalogue.parse(source, source="test"), first.closing(ProviderRegistry({}))
        breaker = CircuitBreaker(circuits, now_s=lambda: circuits.now.timestamp())
        router = ModelRouter(providers, breaker, retry_policy=RetryPolicy(first_pause_s=0.001), draw=lambda: 0.5)
        generous = DefaultLimits(100_000, Decimal(1000))
        yield (
            sellers,
            replace(chat_state()["services"], catalogue=lambda: catalogue, router=router, environment={}, default_limits=generous),
        )


def model(id: str, provider: str, url: str) -> str:
    prices = "".join(f"{name} = {price}\n" for name, price in vars(PRICES[id]).items())
    return MODEL.format(id=id, provider=provider, url=url) + prices


def drive(chat: Function, payers: list[Person], circuits: MemoryCircuits, draw: Random) -> list[Answer]:
    """Take turns for alternating billing subjects, each in a series of conversations."""
    answers, conversations = [], dict[int, str]()
    for _ in range(TURNS):
        circuits.pass_s(TURN_S)
        who = draw.randrange(len(payers))
        question = {"message": " ".join(draw.choices(WORDS, k=draw.randint(1, 60))) + "?", "stream": draw.random() < 0.5}
        question["model"] = draw.choice(["gpt", "claude", "safe", "other"])
        if draw.random() < 0.6 and who in conversations:
            question["conversation_id"] = conversations[who]
        answers.append(chat.post("/chat", question, as_=payers[who]))
        if conversation_id := conversation_of(answers[-1]):
            conversations[who] = conversation_id
    return answers


def conversation_of(answer: Answer) -> str | None:
    if answer.headers["content-type"].startswith("text/event-stream"):
        return answer.events[0][1]["conversation_id"]
    return answer.json.get("conversation_id")


def sums(lines: list[InvoiceLine]) -> dict[str, tuple]:
    """Return the sums for each model."""
    return {
        model: (
            sum(line.input_tokens for line in lines if line.model == model),
            sum(line.output_tokens for line in lines if line.model == model),
            sum(line.cached_tokens for line in lines if line.model == model),
            sum(line.usd for line in lines if line.model == model),
        )
        for model in PRICES
    }


def test_the_run_has_all_kinds_of_calls(run):
    endings = {answer.events[-1][0] if answer.events else answer.status for answer in run.answers}

    assert endings >= {"turn.completed", "turn.interrupted", "turn.failed", 200, 502}
    assert {move for seller in run.sellers for move in seller.moves} == set(MOVES)
    assert {status for (status,) in run.rows("DISTINCT status")} == {"completed", "interrupted", "failed"}


def test_every_call_that_reached_a_vendor_has_one_row(run):
    reached = Counter(str(body["model"]) for seller in run.sellers for _, body in seller.vendor.requests)

    assert dict(run.rows("model, count(*)", "GROUP BY model")) == reached


def test_usage_that_vendors_reported_is_in_the_ledger_to_the_last_token(run):
    stored = {model: tuple(sums) for model, *sums in run.rows(f"model, {SUMS}", "AND NOT is_estimate GROUP BY model")}

    assert stored == sums(run.lines(is_reported=True))


def test_usage_that_vendors_did_not_report_is_flagged_in_each_row(run):
    flagged = dict(run.rows("model, count(*)", "AND is_estimate GROUP BY model"))

    assert flagged == Counter(line.model for line in run.lines(is_reported=False))


def test_estimates_are_close_to_the_delivered_text(run):
    stored = {model: tuple(sums) for model, *sums in run.rows(f"model, {SUMS}", "AND is_estimate GROUP BY model")}

    for name, delivered in sums(run.lines(is_reported=False)).items():
        assert [float(figure) for figure in stored[name]] == pytest.approx([float(figure) for figure in delivered], rel=0.05)


def test_the_budgets_have_spent_what_the_ledger_says(run):
    spent = run.rows("subject_id, sum(spent_usd)", "GROUP BY subject_id", table="budgets")
    users = run.rows("user_id, sum(cost_usd)", "GROUP BY user_id")
    keys = run.rows("api_key_id, sum(cost_usd)", "AND api_key_id IS NOT NULL GROUP BY api_key_id")

    assert len(keys) == 1
    assert dict(spent) == dict(users + keys)


def test_nothing_stays_reserved(run):
    assert run.rows("*", table="budget_reservations") == []
    assert {usd for (usd,) in run.rows("reserved_usd", table="budgets")} == {0}
