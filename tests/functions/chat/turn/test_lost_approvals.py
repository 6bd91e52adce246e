"""Pauses for approvals whose commit was not acknowledged."""

from functions.chat.turn import approvals, run
from functions.chat.turn.approvals import Decision
from functions.chat.turn.events import TurnWaiting
from parley.deadline import Deadline
from parley.errors import Unavailable
from tests.functions.chat.turn.test_approvals import BOTH
from tests.functions.chat.turn.test_approvals import other as other
from tests.functions.chat.turn.test_approvals import toolbox as toolbox
from tests.support.toolbox import ScriptedRounds
from tests.support.turns import make_services, take


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
