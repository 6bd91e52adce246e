"""Settled calls: what their guards found is in the audit of the deployment."""

from decimal import Decimal

import pytest

from parley.db.accounts import deployment_audit
from parley.db.accounts.deployment_audit import AuditFilter
from parley.db.transactions import global_scope, user_scope
from parley.ids import new_id
from parley.llm.model import GuardHit, Model, ModelCall
from parley.metering import limits
from parley.metering.limits import BillingSubject, BudgetExhausted, DefaultLimits, RateLimited

MODEL = Model(provider="anthropic", name="m", max_output_tokens=200, input_usd_per_mtok=Decimal(2), output_usd_per_mtok=Decimal(10))


@pytest.fixture
def found(engine, engines, alice):
    """Return a function that settles a call with findings of guards, and returns the row of the audit."""

    def settle(*actions, key=None):
        hits = [GuardHit("words", "word", action, "request", 1) for action in actions]
        with user_scope(engine, alice.id) as connection:
            limits.settle(connection, BillingSubject(alice.id, key), [ModelCall("m", MODEL, guard_hits=hits)], reservations=[])
        with global_scope(engines["background"]) as connection:
            rows = deployment_audit.page(connection, AuditFilter(account_id=alice.id, action="guard_hit"), limit=1, after=None)
        return rows[0] if rows else None

    return settle


@pytest.mark.parametrize(("actions", "outcome"), [(["mask"], "done"), (["mask", "block"], "refused")])
def test_a_call_that_a_guard_blocked_is_listed_as_refused(found, actions, outcome):
    assert found(*actions).outcome == outcome


def test_a_finding_names_the_api_key_of_its_call(found):
    key = new_id()

    assert "api_key_id" not in found("mask").detail
    assert found("mask", key=key).detail["api_key_id"] == str(key)


def test_a_call_without_findings_is_not_listed(found):
    assert found() is None


def test_a_finding_names_what_its_call_was_for(found):
    assert found("mask").detail["purpose"] == "chat"


def test_a_call_too_many_within_a_minute_is_429_and_says_when_to_come_again(engine, alice):
    defaults = DefaultLimits(rate_per_minute=1, budget_usd=Decimal(5))
    with user_scope(engine, alice.id) as connection:
        limits.admit(connection, BillingSubject(alice.id), defaults, amount_usd=Decimal(0))
        with pytest.raises(RateLimited) as caught:
            limits.admit(connection, BillingSubject(alice.id), defaults, amount_usd=Decimal(0))

    assert (caught.value.status, 0 < caught.value.retry_after_s <= 60) == (429, True)


def test_a_further_call_of_a_turn_counts_against_the_budget_and_not_as_a_request(engine, alice):
    defaults, subject = DefaultLimits(rate_per_minute=1, budget_usd=Decimal(5)), BillingSubject(alice.id)
    with user_scope(engine, alice.id) as connection:
        limits.admit(connection, subject, defaults, amount_usd=Decimal(3))
        limits.reserve(connection, subject, defaults, amount_usd=Decimal(2))
        with pytest.raises(BudgetExhausted) as caught:
            limits.reserve(connection, subject, defaults, amount_usd=Decimal("0.01"))

    assert caught.value.status == 402
    assert f"renews on {caught.value.resets_at:%Y-%m-}01 (UTC)" in caught.value.public_message
