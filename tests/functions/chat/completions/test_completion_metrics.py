"""The metrics of stateless completions, as CloudWatch extracts them from the chat function's output."""

from contextlib import suppress

import pytest

from parley.db.turn import stream_leases
from parley.errors import Unauthorized
from parley.llm import messages as llm
from parley.llm.errors import ProviderFailed
from tests.fakes.cloudwatch import read_metrics, total
from tests.functions.chat.completions.test_completion import complete, silent_services
from tests.functions.chat.test_limits import make_services
from tests.support.turns import HELLO


@pytest.fixture
def measured(capsys):
    """Read the events of a completion to their end or error, and return its metrics."""

    def measured(completion):
        capsys.readouterr()
        with suppress(ProviderFailed, Unauthorized):
            list(completion.events)
        return read_metrics(capsys.readouterr().out)

    return measured


def test_a_completion_counts_as_a_turn_with_its_first_token_tokens_and_cost(engine, alice, measured):
    data = measured(complete(make_services(engine, HELLO), alice))
    first = [datum for datum in data if datum.name == "FirstTokenMs"]

    assert (total(data, "Turns"), total(data, "Turns", outcome="completed")) == (1, 1)
    assert len(first) == 1
    assert 0 <= first[0].value < 60_000
    assert (total(data, "Tokens", purpose="chat"), total(data, "CostUsd", purpose="chat")) == (1100, pytest.approx(0.0024))


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ([], "failed"),
        ([llm.TextDelta("half")], "interrupted"),
        ([llm.ToolCall("1", "clock", "{}")], "interrupted"),
    ],
)
def test_a_completion_that_breaks_off_counts_by_what_has_arrived(engine, alice, measured, script, outcome):
    failure = [ProviderFailed("acme", "reset")]
    data = measured(complete(make_services(engine, script + failure, *[failure] * 3), alice))

    assert (total(data, "Turns"), total(data, "Turns", outcome=outcome)) == (1, 1)


def test_a_completion_whose_client_leaves_counts_as_stopped(engine, alice, capsys):
    events = complete(silent_services(engine, "Hel"), alice).events
    next(events)
    capsys.readouterr()
    events.close()

    assert total(read_metrics(capsys.readouterr().out), "Turns", outcome="stopped") == 1


def test_a_completion_that_a_logout_ends_counts_as_stopped(engine, auth, alice, measured, monkeypatch):
    monkeypatch.setattr(stream_leases, "RENEW_S", 0.0)
    completion = complete(make_services(engine, HELLO), alice)
    auth.post("/auth/logout", as_=alice)

    assert total(measured(completion), "Turns", outcome="stopped") == 1
