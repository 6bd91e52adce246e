"""Whole completions: which models are asked, and what is charged."""

from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from sqlalchemy import text

from parley.db.transactions import user_scope
from parley.deadline import Deadline
from parley.llm.candidates import Candidate
from parley.llm.circuit_breaker import CircuitBreaker
from parley.llm.errors import ProviderFailed
from parley.llm.messages import Message, ModelRequest, OutputSchema, TextDelta
from parley.llm.model import Model
from parley.llm.router import ModelRouter, RetryPolicy
from parley.metering.completion import DeadlineTooClose, complete, max_prompt_tokens
from parley.metering.limits import DefaultLimits
from tests.fakes.circuits import MemoryCircuits
from tests.support.postgres import dropped_once
from tests.support.turns import HELLO, ScriptedProvider

PLAIN = Candidate("plain", Model(provider="offline", name="plain"))
SCHEMED = Candidate("schemed", Model(provider="offline", name="schemed", abilities={"json"}))
REQUEST = ModelRequest([Message("user", "Say hello.")], output=OutputSchema("greeting", {"type": "object"}), task="title")


@dataclass
class Services:
    """A router that plays a script, whichever model it asks."""

    engine: object
    script: list[object]
    environment: dict[str, str] = field(default_factory=dict)
    default_limits: DefaultLimits = field(default_factory=lambda: DefaultLimits(1000, Decimal(5)))

    def __post_init__(self):
        self.provider = ScriptedProvider(self.script)
        policy = RetryPolicy(first_pause_s=0.0)
        self.router = ModelRouter(lambda model: self.provider, CircuitBreaker(MemoryCircuits()), retry_policy=policy)


@pytest.fixture
def ask(engine, alice):
    """Return a function that asks models for alice, and returns the completion and the request that the model received."""

    def ask(*models, script=HELLO, left_s=60.0):
        services = Services(engine, script)
        completion = complete(services, models, REQUEST, user_id=alice.id, deadline=Deadline.after(left_s))
        return completion, services.provider.requests[-1]

    return ask


def test_a_prompt_leaves_room_for_the_answer_in_every_model():
    small, large = (
        Candidate(name, Model(provider="offline", name=name, context_tokens=context, max_output_tokens=output))
        for name, context, output in (("small", 1000, 100), ("large", 5000, 4500))
    )

    assert [max_prompt_tokens(models, answer_tokens=300) for models in ([small], [large], [large, small])] == [900, 4700, 900]


def test_the_answer_names_the_model_that_gave_it(ask):
    completion, _ = ask(PLAIN)

    assert (completion.text, completion.model) == ("Hello", "plain")


def test_a_model_that_can_follow_the_schema_is_asked_first_and_with_it(ask):
    completion, request = ask(PLAIN, SCHEMED)

    assert (completion.model, request.output) == ("schemed", REQUEST.output)


def test_if_no_model_can_follow_the_schema_it_is_not_sent(ask):
    completion, request = ask(PLAIN)

    assert (completion.model, request.output) == ("plain", None)


def test_an_answer_without_an_end_is_a_failure_of_its_provider(ask):
    with pytest.raises(ProviderFailed) as caught:
        ask(PLAIN, script=[TextDelta("Hel")])

    assert "offline" in str(caught.value)


def test_shortly_before_the_deadline_no_model_is_called_and_nothing_charged(ask, engine, alice):
    with pytest.raises(DeadlineTooClose):
        ask(PLAIN, left_s=4.9)
    with user_scope(engine, alice.id) as connection:
        assert connection.execute(text("SELECT count(*) FROM usage")).scalar_one() == 0


def test_an_answer_waits_to_be_paid_while_the_database_is_briefly_away(ask, engine, postgres, alice):
    with dropped_once(engine, postgres, before="INSERT INTO usage") as dropped:
        completion, _ = ask(PLAIN)
    with user_scope(engine, alice.id) as connection:
        paid = connection.execute(text("SELECT count(*) FROM usage")).scalar_one()

    assert (completion.text, len(dropped), paid) == ("Hello", 1, 1)
