"""Stateless completions: their cost, and the model that answers."""

import pytest

from functions.chat.completions.completion import stream_completion
from functions.chat.turn.events import Ping
from parley.deadline import Deadline
from parley.llm import messages as llm
from parley.llm.catalogue import ModelNotFound
from parley.llm.errors import ContextTooLong, ProviderBusy, ProviderFailed, ProviderTimeout
from parley.metering.limits import BudgetExhausted, RateLimited
from tests.functions.chat.test_limits import make_services, money, rows
from tests.support.turns import HELLO, HangingProvider

REQUEST = llm.ModelRequest([llm.Message("user", "hello")])
EVENTS = [llm.TextDelta("Hel"), llm.TextDelta("lo"), llm.Finished("stop", llm.Usage(1000, 100, 400))]


def complete(services, person, *, name="safe", request=REQUEST, stops=(), time_limit_s=60):
    return stream_completion(services, person.principal, name, request, stops=stops, deadline=Deadline.after(time_limit_s))


def silent_services(engine, *words):
    services = make_services(engine)
    services.router.provider_for = lambda model: HangingProvider(*words)
    return services


def test_the_answer_is_streamed_and_paid_for(engine, postgres, alice):
    completion = complete(make_services(engine, HELLO), alice)

    assert list(completion.events) == EVENTS
    assert (rows(postgres, alice), money(postgres, alice)) == ([("first", "completed", 1000, 100, False)], [(0.0024, 0)])


def test_the_end_is_sent_only_after_the_settlement(engine, postgres, alice):
    events = complete(make_services(engine, HELLO), alice).events
    before = [next(events), next(events), money(postgres, alice)[0][0]]

    assert (before[-1], next(events), money(postgres, alice)) == (0, EVENTS[-1], [(0.0024, 0)])


def test_another_model_answers_if_the_first_is_busy(engine, postgres, alice):
    completion = complete(make_services(engine, [ProviderBusy("acme", retry_after_s=0.0)], HELLO), alice)
    next(completion.events)

    assert completion.model() == "second"


def test_an_abandoned_answer_is_paid_for(engine, postgres, alice):
    events = complete(silent_services(engine, "Hel", "lo"), alice).events
    next(events)
    events.close()

    assert [row[1] for row in rows(postgres, alice)] == ["stopped"]
    assert (money(postgres, alice)[0][0] > 0, money(postgres, alice)[0][1]) == (True, 0)


def test_a_stop_sequence_ends_the_vendors_answer_too(engine, postgres, alice):
    *deltas, finished = complete(silent_services(engine, "Hel", "lo"), alice, stops=["lo"]).events

    assert ("".join(event.text for event in deltas), finished.reason) == ("Hel", "stop")
    assert [(row[1], row[4]) for row in rows(postgres, alice)] == [("stopped", True)]


def test_an_interrupted_answer_is_paid_for_and_raises(engine, postgres, alice):
    events = complete(make_services(engine, [llm.TextDelta("Hel"), ProviderFailed("acme", "reset")]), alice).events

    with pytest.raises(ProviderFailed):
        list(events)
    assert [row[1] for row in rows(postgres, alice)] == ["interrupted"]
    assert money(postgres, alice)[0][1] == 0


def test_a_silent_vendor_is_bridged_by_pings(engine, alice, monkeypatch):
    monkeypatch.setattr("functions.chat.completions.completion.PING_S", 0.02)
    events = complete(silent_services(engine, "Hel"), alice).events
    received = [next(events), next(events), next(events)]
    events.close()

    assert received == [llm.TextDelta("Hel"), Ping(), Ping()]


def test_an_answer_has_no_more_time_than_its_function(engine, postgres, alice):
    with pytest.raises(ProviderTimeout):
        list(complete(silent_services(engine, "Hel"), alice, time_limit_s=0.2).events)
    assert [row[1] for row in rows(postgres, alice)] == ["interrupted"]


@pytest.mark.parametrize(("limits", "error"), [({"budget": 0}, BudgetExhausted), ({"rate": 1}, RateLimited)])
def test_limits_are_checked_before_any_model_is_called(engine, alice, limits, error):
    services = make_services(engine, HELLO, **limits)

    with pytest.raises(error):
        for _ in range(2):
            list(complete(services, alice).events)


def test_a_strategy_skips_models_that_are_too_small_and_refuses_if_all_are(engine, alice):
    with pytest.raises(ContextTooLong):
        complete(make_services(engine), alice, request=llm.ModelRequest([llm.Message("user", "word " * 9000)]))
    with pytest.raises(ModelNotFound):
        complete(make_services(engine), alice, name="gpt-99")
