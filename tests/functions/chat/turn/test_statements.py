"""The number of statements of a turn, without BEGIN and COMMIT."""

import pytest

from parley.db.turn import turns
from parley.db.turn.turn_begin import IdempotencyKey
from parley.llm import messages as llm
from tests.functions.chat.statements import recorded_statements
from tests.support.turns import HELLO, HangingProvider, ScriptedProvider, make_services, take, take_numbered


@pytest.fixture
def count_statements(engine, alice):
    """Take a turn, and return the number of its statements before and after the model call."""

    def count_statements(**options):
        statements_before_call = []
        provider = ScriptedProvider([lambda: statements_before_call.append(len(found)), *HELLO])
        with recorded_statements(engine) as found:
            take(make_services(engine, provider), alice, **options)
        return statements_before_call[0], len(found) - statements_before_call[0]

    return count_statements


def test_a_turn_in_a_new_conversation_takes_four_statements_one_to_recall_and_four(count_statements):
    assert count_statements(model="priced") == (4 + 1, 4)


def test_a_turn_in_a_conversation_takes_five_statements_one_to_recall_and_four(engine, alice, count_statements):
    started, *_ = take(make_services(engine, ScriptedProvider(HELLO)), alice)

    assert count_statements(conversation_id=started.conversation_id, model="priced") == (5 + 1, 4)


def test_a_key_costs_no_statement(count_statements):
    assert count_statements(idempotency_key=IdempotencyKey("POST /chat", "a key", b"body")) == (4 + 1, 4)


def test_a_tick_is_one_statement(engine, alice):
    started, *_ = take(make_services(engine, ScriptedProvider(HELLO)), alice)
    with recorded_statements(engine) as found:
        turns.record_heartbeat(engine, started.turn_id, user_id=alice.id, entries=[])

    assert len(found) == 1


def test_a_turn_ticks_at_most_twice_a_second(engine, alice):
    with recorded_statements(engine) as found:
        take(make_services(engine, HangingProvider("word")), alice, time_limit_s=1.8)

    assert len([statement for statement in found if "SET heartbeat_at = clock_timestamp()" in statement]) in (2, 3)


WATCHING = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'parley_app' AND state LIKE 'idle in transaction%'"


def test_no_transaction_is_open_while_the_model_streams(engine, postgres, alice):
    seen = []
    watch = lambda: seen.append(postgres.execute(WATCHING)[0][0])  # noqa: E731
    taken = take_numbered(make_services(engine, ScriptedProvider([watch, llm.TextDelta("one"), watch, *HELLO, watch])), alice)
    for _ in taken:
        watch()

    assert len(seen) >= 6
    assert set(seen) == {0}
