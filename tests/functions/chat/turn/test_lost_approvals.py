"""Pauses for approvals, and decisions, whose commit was not acknowledged."""

from contextlib import contextmanager

import pytest

from functions.chat.turn import approvals, run
from functions.chat.turn.approvals import Decision
from functions.chat.turn.events import TurnWaiting
from parley.deadline import Deadline
from parley.errors import Unavailable
from tests.functions.chat.turn.test_approvals import BOTH
from tests.functions.chat.turn.test_approvals import other as other
from tests.functions.chat.turn.test_approvals import toolbox as toolbox
from tests.functions.chat.turn.test_approvals import waiting as waiting
from tests.support.toolbox import ScriptedRounds
from tests.support.turns import events_of, make_services, take


def test_a_pause_that_was_stored_but_not_acknowledged_is_told_after_another_process_has_resumed_the_turn(
    engine, other, alice, toolbox, monkeypatch
):
    store, lost = approvals._store_checkpoint, iter([Unavailable("database")])

    def store_and_lose(engine, turn, *arguments):
        store(engine, turn, *arguments)
        for error in lost:
            run.resume_turn(other(), alice.principal, Decision(turn.id, "w", True), deadline=Deadline.after(30))
            raise error

    monkeypatch.setattr(approvals, "_store_checkpoint", store_and_lose)
    events = take(make_services(engine, ScriptedRounds(BOTH), toolbox=toolbox), alice, model="handy", tools=True)

    assert isinstance(events[-1], TurnWaiting)


@pytest.fixture
def cut_decision(monkeypatch):
    """Return a function after which the next decision loses its connection before or after its commit; `meanwhile` runs then."""
    real, cuts = approvals.principal_scope, []

    @contextmanager
    def scope(engine, principal):
        moment, meanwhile = cuts.pop() if cuts else ("", None)
        try:
            with real(engine, principal) as connection:
                yield connection
                if moment == "before":
                    raise Unavailable("database")
            if moment == "after":
                raise Unavailable("database")
        except Unavailable:
            meanwhile()
            raise

    monkeypatch.setattr(approvals, "principal_scope", scope)
    return lambda moment, meanwhile=lambda: None: cuts.append((moment, meanwhile))


def approve(services, person, turn_id):
    """Approve the waiting call, and return the names of the events that follow."""
    resumed = run.resume_turn(services, person.principal, Decision(turn_id, "w", True), deadline=Deadline.after(30))
    return [event.name for event in events_of(resumed.events)]


def test_a_turn_resumes_if_only_the_reply_to_the_commit_of_its_last_decision_is_lost(other, alice, toolbox, waiting, cut_decision):
    cut_decision("after")

    assert approve(other(), alice, waiting[0].turn_id)[-1] == "turn.completed"
    assert toolbox.names == ["clock", "write"]


def test_a_decision_that_was_not_stored_is_refused_and_can_be_repeated(other, alice, toolbox, waiting, cut_decision):
    cut_decision("before")
    with pytest.raises(Unavailable):
        approve(other(), alice, waiting[0].turn_id)

    assert approve(other(), alice, waiting[0].turn_id)[-1] == "turn.completed"
    assert toolbox.names == ["clock", "write"]


def test_a_turn_that_another_worker_has_resumed_meanwhile_is_not_resumed_again(other, alice, toolbox, waiting, cut_decision):
    cut_decision("before", meanwhile=lambda: approve(other(), alice, waiting[0].turn_id))

    with pytest.raises(Unavailable):
        approve(other(), alice, waiting[0].turn_id)
    assert toolbox.names == ["clock", "write"]
