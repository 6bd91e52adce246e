"""The metrics of turns, as CloudWatch extracts them from the chat function's output."""

import pytest

from functions.chat.turn.begin import begin_turn
from functions.chat.turn.question import Question
from parley.deadline import Deadline
from parley.llm import messages as llm
from parley.llm.errors import ProviderBusy, ProviderFailed, ProviderRejected
from parley.turn_recovery import interrupt_if_stale
from tests.fakes.cloudwatch import metric_lines, read_metrics, total
from tests.support.turns import HELLO, ScriptedProvider, make_services, take


@pytest.fixture
def measured(engine, alice, capsys):
    """Take a turn and return its metrics."""

    def measured(*script, **options):
        capsys.readouterr()
        take(make_services(engine, ScriptedProvider(list(script))), alice, "canary words", **options)
        return read_metrics(capsys.readouterr().out)

    return measured


def test_a_turn_counts_its_outcome_first_token_tokens_and_cost(measured):
    data = measured(*HELLO, model="priced")
    first = [datum for datum in data if datum.name == "FirstTokenMs"]

    assert (total(data, "Turns"), total(data, "Turns", outcome="completed")) == (1, 1)
    assert [datum.unit for datum in first] == ["Milliseconds"]
    assert 0 <= first[0].value < 60_000
    assert (total(data, "Tokens"), total(data, "Tokens", purpose="chat")) == (1100, 1100)
    assert total(data, "CostUsd", purpose="chat") == pytest.approx(0.0024)


def test_a_turn_without_text_has_no_first_token(measured):
    data = measured(ProviderFailed("acme", "reset"))

    assert total(data, "Turns", outcome="failed") == 1
    assert [datum for datum in data if datum.name == "FirstTokenMs"] == []


def test_an_answer_that_breaks_off_counts_as_interrupted(measured):
    assert total(measured(llm.TextDelta("half"), ProviderFailed("acme", "reset")), "Turns", outcome="interrupted") == 1


def test_a_failing_provider_is_counted_by_its_name_but_a_rejected_request_is_not(measured):
    busy, rejected = measured(ProviderBusy("acme", retry_after_s=0.0)), measured(ProviderRejected("acme", "no"))

    assert total(busy, "ProviderErrors") == total(busy, "ProviderErrors", provider="offline") >= 1
    assert total(rejected, "ProviderErrors") == 0


def test_no_text_of_the_user_is_in_a_metric_line(engine, alice, capsys):
    take(
        make_services(engine, ScriptedProvider([llm.TextDelta("canary answer"), ProviderFailed("acme", "canary reason")])), alice, "canary"
    )
    output = capsys.readouterr().out

    assert metric_lines(output)
    assert [line for line in metric_lines(output) if "canary" in str(line)] == []


def test_a_turn_whose_function_died_counts_as_interrupted_once(engine, alice, age, capsys):
    services = make_services(engine, ScriptedProvider([]))
    started = _begun_turn(services, alice)
    age(started)
    capsys.readouterr()
    assert interrupt_if_stale(engine, started, user_id=alice.id)
    assert not interrupt_if_stale(engine, started, user_id=alice.id)
    data = read_metrics(capsys.readouterr().out)

    assert total(data, "Turns", outcome="interrupted") == 1


def _begun_turn(services, person):
    return begin_turn(services, person.principal, Question("hello"), deadline=Deadline.after(60), idempotency_key=None, joins=False).id
