"""The comparison after `make chaos` accepts sound records, and notices each way in which they can be wrong."""

import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from random import Random
from types import SimpleNamespace

import pytest

from local.queues.store import QueueStore
from tests.chaos import emulator
from tests.chaos.audit import Records, TurnRow, broken_promises
from tests.chaos.clients import Request
from tests.chaos.clock import SteppingClock
from tests.chaos.vendor import BookLine
from tests.support.api_gateway import Answer

KEY = "question-000001"
ASKED = f"alpha? {KEY}"
STREAM = {"content-type": "text/event-stream"}
BODY = b'event: text.delta\ndata: {"text":"hello"}\n\nevent: turn.completed\ndata: {}\n\n'
TURN = TurnRow(KEY, "ada", "completed", None, ASKED, "hello", "hello", 1, [(10, 2, False)])
SOUND = Records(
    turns=[TURN],
    questions=Counter({ASKED: 1}),
    conversations=[(2, [1, 2], True, True)],
    budgets=[("ada", Decimal(1), Decimal(1), Decimal(0))],
    documents=[("ada", "leave", "ready", 3, 3)],
    files={"documents/ada/leave", "exports/ada"},
    waiting={"reservations": 0},
)
BOOKS = {KEY: [BookLine("hello", (10, 2))]}
UPLOAD = Request("ada", "document-000001", Answer(202, {}, b'{"id": "leave"}'))


def clients(answer=None, *, deletions=(), is_answered=True):
    question = Request("ada", KEY, (answer or Answer(200, STREAM, BODY)) if is_answered else None)
    return SimpleNamespace(questions=[question], uploads=[UPLOAD], deletions=list(deletions))


def with_turn(**changes):
    return replace(SOUND, turns=[replace(TURN, **changes)])


def kinds(records=SOUND, books=BOOKS, **options):
    return set(broken_promises(clients(**options), books, records))


def test_sound_records_break_no_promise():
    assert broken_promises(clients(), BOOKS, SOUND) == {}


@pytest.mark.parametrize(
    ("records", "kind"),
    [
        (replace(SOUND, turns=[]), "lost"),
        (replace(SOUND, turns=[TURN, TURN]), "doubled"),
        (replace(SOUND, questions=Counter({ASKED: 2})), "doubled"),
        (replace(SOUND, questions=Counter()), "lost"),
        (with_turn(answer="hell", logged="hell"), "lost"),
        (with_turn(logged="hell"), "lost"),
        (with_turn(status="running"), "stuck"),
        (with_turn(endings=0), "lost"),
        (with_turn(endings=2), "doubled"),
        (with_turn(charges=[(10, 2, False), (10, 2, True)]), "charged twice"),
        (with_turn(charges=[(11, 2, False)]), "charged twice"),
        (with_turn(charges=[]), "lost"),
        (replace(SOUND, conversations=[(3, [1, 3], True, True)]), "lost"),
        (replace(SOUND, conversations=[(2, [1, 2], False, True)]), "stuck"),
        (replace(SOUND, budgets=[("ada", Decimal(2), Decimal(1), Decimal(0))]), "charged twice"),
        (replace(SOUND, budgets=[("ada", Decimal(1), Decimal(1), Decimal(1))]), "stuck"),
        (replace(SOUND, documents=[]), "lost"),
        (replace(SOUND, documents=[("ada", "leave", "processing", 3, 3)]), "stuck"),
        (replace(SOUND, documents=[("ada", "leave", "ready", 3, 2)]), "lost"),
        (replace(SOUND, documents=[("ada", "leave", "ready", 3, 4)]), "doubled"),
        (replace(SOUND, files=set()), "lost"),
        (replace(SOUND, files=SOUND.files | {"documents/ada/other"}), "stuck"),
        (replace(SOUND, waiting={"messages in MemoryDeadLetters": 1}), "stuck"),
    ],
)
def test_each_broken_promise_is_noticed(records, kind):
    assert kind in kinds(records)


def test_a_client_that_was_never_answered_is_stuck():
    assert kinds(is_answered=False) == {"stuck"}


def test_an_answer_that_the_vendor_never_gave_is_noticed():
    assert kinds(books={KEY: [BookLine("something else", (10, 2))]}) == {"lost"}


def test_a_deleted_document_that_is_still_stored_is_stuck():
    assert kinds(deletions=["leave"]) == {"stuck"}


def test_text_since_the_last_heartbeat_of_a_dead_worker_may_be_missing():
    shortened = {"status": "interrupted", "answer": "hel", "logged": "hel", "charges": [(10, 1, True)]}

    assert kinds(with_turn(**shortened, error_code="function_lost")) == set()
    assert kinds(with_turn(**shortened, error_code=None)) == {"lost"}


def test_a_charge_for_a_call_that_the_vendor_never_received_is_allowed_once():
    lost = {"status": "interrupted", "error_code": "function_lost", "answer": "", "logged": ""}

    assert kinds(with_turn(**lost, charges=[(10, 0, True)]), books={}) == set()
    assert kinds(with_turn(**lost, charges=[(10, 0, True)] * 2), books={}) == {"charged twice"}


def test_an_unreliable_queue_delivers_every_message_and_some_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(emulator.UnreliableQueueStore, "random", Random(1))
    store = emulator.UnreliableQueueStore(tmp_path / "queues.sqlite")
    store.create("jobs", {})
    for number in range(50):
        store.send("jobs", str(number))
    store.close()
    later = QueueStore(tmp_path / "queues.sqlite", now=lambda: 4_000_000_000.0)
    bodies = [row[0] for row in later._database.execute("SELECT body FROM messages")]
    later.close()

    assert set(bodies) == {str(number) for number in range(50)}
    assert 50 < len(bodies) < 75


def test_a_clock_steps_in_a_running_process_and_intervals_keep_their_length(tmp_path):
    clock = SteppingClock(tmp_path)
    if not clock.is_available:
        pytest.skip("there is no C compiler")
    code = "import time\nwhile input(): print(int(time.time()), time.monotonic(), flush=True)"
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | clock.variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    wall_s, monotonic_s = [], []
    for offset_s in (0, 3600, -3600):
        clock.step_to(offset_s)
        process.stdin.write("now\n")
        process.stdin.flush()
        wall, monotonic = process.stdout.readline().split()
        wall_s.append(int(wall) - time.time())
        monotonic_s.append(float(monotonic) - time.monotonic())
    process.communicate("\n")

    assert wall_s == pytest.approx([0, 3600, -3600], abs=300)
    assert monotonic_s == pytest.approx([monotonic_s[0]] * 3, abs=300)
