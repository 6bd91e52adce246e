"""Settlement of a turn whose function died: the process that ends the turn pays for it, exactly once."""

import pytest

from functions.chat.turn.begin import begin_turn
from functions.chat.turn.question import Question
from parley.db.turn import turns
from parley.db.turn.turn_events import LoggedEvent
from parley.deadline import Deadline
from parley.llm import messages as llm
from parley.turn_recovery import interrupt_if_stale
from tests.support.toolbox import DONE, RecordingToolbox, ScriptedRounds, tool_calls_answer
from tests.support.turns import HELLO, ScriptedProvider, make_services, take

PAID = """
SELECT count(*) AS charges, bool_and(is_estimate) AS is_estimate, sum(input_tokens) AS input, sum(output_tokens) AS output,
       (SELECT spent_usd FROM budgets b WHERE b.user_id = :u) AS spent,
       (SELECT reserved_usd FROM budgets b WHERE b.user_id = :u) AS reserved,
       (SELECT count(*) FROM budget_reservations r WHERE r.user_id = :u) AS reservations, sum(cost_usd) AS cost
  FROM usage WHERE user_id = :u
"""
LOGGED_TEXT = LoggedEvent(2, "text.delta", {"texts": ["Good ", "morning"]})


@pytest.fixture
def stale_turn(engine, alice, age):
    """Return a function that begins a turn, logs some words, and abandons it."""

    def stale_turn(**options):
        services, question, deadline = make_services(engine, None), Question("hello", **options), Deadline.after(60)
        turn = begin_turn(services, alice.principal, question, deadline=deadline, idempotency_key=None, joins=False)
        turns.record_heartbeat(engine, turn.id, user_id=alice.id, entries=[LOGGED_TEXT])
        age(turn.id)
        return turn

    return stale_turn


def test_a_stale_turn_has_one_estimated_row_and_no_reservation(engine, alice, stale_turn, row):
    interrupt_if_stale(engine, stale_turn(model="priced").id, user_id=alice.id)
    paid = row(PAID, u=alice.id)

    assert (paid.charges, paid.is_estimate, paid.reservations, paid.reserved) == (1, True, 0, 0)
    assert min(paid.input, paid.output) > 0
    assert paid.spent == paid.cost > 0


def test_a_stale_turn_of_a_model_without_a_price_has_a_row_too(engine, alice, stale_turn, row):
    interrupt_if_stale(engine, stale_turn().id, user_id=alice.id)
    (charges, is_estimate, taken) = row(
        "SELECT count(*), bool_and(is_estimate), sum(input_tokens) FROM usage WHERE user_id = :u", u=alice.id
    )

    assert (charges, is_estimate, taken > 0) == (1, True, True)


def test_the_end_of_a_stale_turn_has_the_charged_usage(engine, alice, stale_turn, row, log):
    turn = stale_turn(model="priced")
    interrupt_if_stale(engine, turn.id, user_id=alice.id)
    paid, usage = row(PAID, u=alice.id), log(turn.id)[-1][2]["usage"]

    assert usage == {"input_tokens": paid.input, "output_tokens": paid.output, "cost_usd": float(paid.cost)}


def test_ending_a_stale_turn_again_pays_nothing(engine, alice, stale_turn, row):
    turn = stale_turn(model="priced")
    done = [interrupt_if_stale(engine, turn.id, user_id=alice.id) for _ in range(2)]

    assert done == [True, False]
    assert row(PAID, u=alice.id).charges == 1


def test_a_live_turns_reservation_is_not_charged_by_others(engine, alice, stale_turn, row, change):
    turn = stale_turn(model="priced")
    change("UPDATE turns SET heartbeat_at = now() WHERE id = :id", id=turn.id)

    assert not interrupt_if_stale(engine, turn.id, user_id=alice.id)
    assert row("SELECT count(*) FROM usage WHERE user_id = :u", u=alice.id) == (0,)


@pytest.fixture
def interrupt(engine, alice, age, row):
    """Return a function that finds alice's turn stale and ends it."""

    def interrupt():
        (turn_id,) = row("SELECT id FROM turns WHERE user_id = :u", u=alice.id)
        age(turn_id)
        assert interrupt_if_stale(engine, turn_id, user_id=alice.id)

    return interrupt


@pytest.mark.parametrize("deltas", [0, 1])
def test_a_slow_turn_found_stale_does_not_pay_twice(engine, alice, interrupt, row, deltas):
    """The turn is found stale before its first word or after it, and learns this at its end."""
    script = [*HELLO[:deltas], interrupt, *HELLO[deltas:]]
    take(make_services(engine, ScriptedProvider(script)), alice, model="priced")
    paid = row(PAID, u=alice.id)

    assert (paid.charges, paid.is_estimate, paid.reservations, paid.reserved) == (1, True, 0, 0)
    assert paid.spent == paid.cost


def test_a_turn_deleted_with_its_conversation_is_paid_by_the_vendors_usage(engine, alice, change, row):
    delete_conversation = lambda: change("DELETE FROM conversations WHERE user_id = :u", u=alice.id)  # noqa: E731
    take(make_services(engine, ScriptedProvider([HELLO[0], delete_conversation, *HELLO[1:]])), alice, model="priced")
    paid = row(PAID, u=alice.id)

    assert (paid.charges, paid.is_estimate, paid.input, paid.reservations) == (1, False, 1000, 0)


def test_a_stale_turn_that_is_found_late_is_still_paid_for(engine, alice, stale_turn, row, change):
    turn = stale_turn(model="priced")
    change("UPDATE budget_reservations SET expires_at = now() WHERE user_id = :u", u=alice.id)
    take(make_services(engine, ScriptedProvider(HELLO)), alice, model="priced")
    interrupt_if_stale(engine, turn.id, user_id=alice.id)
    paid = row(PAID, u=alice.id)

    assert (paid.charges, paid.reservations, paid.reserved) == (2, 0, 0)
    assert paid.spent == paid.cost


CLOCK, WRITE = ("c", "clock", {}), ("w", "write", {})


@pytest.fixture
def with_tools(engine, alice, interrupt):
    """Take a turn whose tool runs so long that the turn is found stale."""

    def with_tools(*scripts):
        toolbox = RecordingToolbox().add("clock", interrupt).add("write", requires_approval=True)
        return take(make_services(engine, ScriptedRounds(*scripts), toolbox=toolbox), alice, model="handy-priced", tools=True)

    return with_tools


@pytest.mark.parametrize("calls", [[CLOCK], [CLOCK, WRITE]])
def test_a_turn_found_stale_while_a_tool_runs_does_not_pay_twice(with_tools, alice, row, calls):
    """The turn learns this when it would call the model again, or pause."""
    last = with_tools(tool_calls_answer(*calls), DONE)[-1]
    paid = row(PAID, u=alice.id)

    assert last.name == "turn.interrupted"
    assert (paid.charges, paid.is_estimate, paid.reservations, paid.reserved) == (1, True, 0, 0)
    assert paid.spent == paid.cost


def test_rounds_that_were_paid_for_are_not_estimated_again(engine, alice, interrupt, row):
    toolbox = RecordingToolbox().add("clock", lambda: "noon")
    provider = ScriptedRounds(tool_calls_answer(llm.TextDelta("Let me see. "), CLOCK), [interrupt, *DONE])
    last = take(make_services(engine, provider, toolbox=toolbox), alice, model="handy-priced", tools=True)[-1]
    paid = row(PAID, u=alice.id)
    usage = last.data()["usage"]

    assert (paid.charges, paid.is_estimate, paid.reservations) == (2, False, 0)  # one of the two was released
    assert (usage["input_tokens"], usage["output_tokens"], usage["cost_usd"]) == (paid.input, 10, float(paid.cost))
