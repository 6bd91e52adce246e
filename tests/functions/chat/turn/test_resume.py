"""Replay of a turn's events from its log, after the turn has ended and while it runs."""

import json
import re
import threading
from types import SimpleNamespace
from uuid import uuid4

import pytest

from functions.chat.turn import replay
from functions.chat.turn.events import NumberedEvent, Ping
from functions.chat.turn.replay import follow_events
from parley.deadline import Deadline
from parley.errors import Unavailable
from parley.llm import messages as llm
from tests.support.time_limits import wait_until
from tests.support.turns import HELLO, HangingProvider, ScriptedProvider, make_services, take_numbered


def events(answer):
    """Return a stream's events as (id, name, data)."""
    found = re.findall(r"^id: (\d+)\nevent: (.+)\ndata: (.+)$", answer.body.decode(), re.MULTILINE)
    return [(int(number), name, json.loads(data)) for number, name, data in found]


@pytest.fixture
def finished(chat, alice):
    """Return the live stream of a turn of the offline model."""
    return events(chat.post("/chat", {"message": "hello"}, as_=alice))


@pytest.fixture
def replay_of(chat, alice, finished):
    """Replay the events of a turn."""
    turn_id = finished[0][2]["turn_id"]
    return lambda query="", **options: events(chat.get(f"/chat/turns/{turn_id}/events{query}", as_=alice, **options))


def read(engine, person, turn_id):
    """Read a turn's events from the first on."""
    options = {"deadline": Deadline.after(20), "max_followers": 9, "repeats_last": True}
    return replay.read_events(engine, person.principal, turn_id, after=0, **options)


def text_of(found):
    return "".join(data["text"] for _, name, data in found if name == "text.delta")


def test_a_replay_is_the_same_stream_with_texts_joined(finished, replay_of):
    replayed = replay_of()

    assert [replayed[0], replayed[-1]] == [finished[0], finished[-1]]
    assert text_of(replayed) == text_of(finished)


def test_a_joined_text_has_the_id_of_its_last_delta(finished, replay_of):
    (joined,) = [number for number, name, _ in replay_of() if name == "text.delta"]

    assert joined == finished[-2][0]


def test_a_reader_from_any_event_on_gets_the_rest_exactly_once(finished, replay_of):
    for seen in range(len(finished)):
        rest = replay_of(f"?after={seen}")

        assert text_of(finished[:seen]) + text_of(rest) == text_of(finished)
        assert min(number for number, *_ in rest) > seen


def test_the_last_event_id_header_skips_seen_events(finished, replay_of):
    assert replay_of(headers={"Last-Event-ID": "3"}) == replay_of("?after=3")


def test_the_terminal_event_is_always_sent(finished, replay_of):
    assert replay_of(f"?after={finished[-1][0]}") == replay_of("?after=99999") == [finished[-1]]


def test_a_browser_that_has_the_last_event_is_told_not_to_connect_again(chat, alice, finished):
    path = f"/chat/turns/{finished[0][2]['turn_id']}/events"
    statuses = [chat.get(path, as_=alice, headers={"Last-Event-ID": str(finished[-1][0] + step)}).status for step in (-1, 0, 1)]

    assert statuses == [200, 204, 204]


@pytest.mark.parametrize("unknown", ["x", "²", "", "-1", "7" * 50, "0190a1b2-0000-7000-8000-00000000aaaa"])
def test_an_unknown_last_event_id_counts_as_none(replay_of, unknown):
    """A browser sends the last id of any stream that its page has read from."""
    assert replay_of(headers={"Last-Event-ID": unknown}) == replay_of()


@pytest.mark.parametrize("query", ["?after=-1", "?after=x"])
def test_an_invalid_event_number_is_422(chat, alice, finished, query):
    answer = chat.get(f"/chat/turns/{finished[0][2]['turn_id']}/events{query}", as_=alice)

    assert (answer.status, answer.json["code"]) == (422, "invalid_input")


def test_a_foreign_turn_and_a_missing_one_look_alike(chat, bob, finished):
    foreign, missing = (chat.get(f"/chat/turns/{id}/events", as_=bob) for id in (finished[0][2]["turn_id"], uuid4()))

    assert (foreign.status, foreign.json["code"]) == (missing.status, missing.json["code"]) == (404, "not_found")


def test_a_replay_of_a_turn_whose_log_is_gone_is_404(chat, alice, finished, change):
    turn_id = finished[0][2]["turn_id"]
    change("DELETE FROM turn_events WHERE turn_id = :id", id=turn_id)

    assert chat.get(f"/chat/turns/{turn_id}/events", as_=alice).status == 404


def test_a_running_turn_is_followed_from_another_worker(engine, database, alice):
    from parley.db.engine import make_engine

    gate = threading.Event()
    provider = ScriptedProvider([llm.TextDelta("one "), llm.TextDelta("two "), lambda: gate.wait(10), llm.TextDelta("three"), HELLO[-1]])
    taken = take_numbered(make_services(engine, provider), alice)
    started = next(taken).event
    thread = threading.Thread(target=lambda: list(taken))
    thread.start()
    mine = make_engine(database)
    received = []
    for one in follow_events(mine, started.turn_id, user_id=alice.id, after=2, deadline=Deadline.after(20), max_followers=9):
        received += [one] if isinstance(one, NumberedEvent) else []
        if received:
            gate.set()
    thread.join()
    mine.dispose()

    assert [(one.number, one.event.data()) for one in received[:-1]] == [(3, {"text": "two "}), (4, {"text": "three"})]
    assert (received[-1].number, received[-1].event.name) == (5, "turn.completed")


def test_no_transaction_is_open_while_a_reader_waits(engine, alice):
    provider = HangingProvider("word")
    taken = take_numbered(make_services(engine, provider), alice)
    started = next(taken).event
    reading = follow_events(engine, started.turn_id, user_id=alice.id, after=1, deadline=Deadline.after(5), max_followers=9)

    assert isinstance(next(reading), Ping)
    assert engine.pool.checkedout() == 0
    reading.close(), provider.close(), list(taken)


def test_a_reader_of_a_silent_turn_is_pinged_every_ten_seconds(engine, alice, monkeypatch):
    clock = SimpleNamespace(
        now_s=100.0, monotonic=lambda: clock.now_s, sleep=lambda seconds: setattr(clock, "now_s", clock.now_s + seconds)
    )
    monkeypatch.setattr(replay, "time", clock)
    monkeypatch.setattr(replay, "REPLAY_POLL_S", 2.5)
    provider = HangingProvider("word")
    taken = take_numbered(make_services(engine, provider), alice)
    started = next(taken).event
    reading = follow_events(engine, started.turn_id, user_id=alice.id, after=1, deadline=Deadline.after(20), max_followers=9)
    pinged_s = [clock.now_s for _, ping in zip(range(3), reading, strict=False) if isinstance(ping, Ping)]
    reading.close(), provider.close(), list(taken)

    assert pinged_s == [100.0, 110.0, 120.0]


def test_a_reader_past_its_deadline_ends_without_a_terminal_event(engine, alice):
    provider = HangingProvider("word")
    taken = take_numbered(make_services(engine, provider), alice)
    started = next(taken).event
    received = list(follow_events(engine, started.turn_id, user_id=alice.id, after=0, deadline=Deadline.after(0.1), max_followers=9))
    provider.close(), list(taken)

    assert [one.event.name for one in received if isinstance(one, NumberedEvent)] == ["turn.started"]


def test_a_reader_waits_for_a_database_that_is_briefly_unavailable(engine, alice, monkeypatch):
    real, outage = replay.turns.progress, []

    def progress(*args, **options):
        if outage:
            raise outage.pop()
        return real(*args, **options)

    monkeypatch.setattr(replay.turns, "progress", progress)
    provider = HangingProvider("word")
    services = make_services(engine, provider)
    taken = take_numbered(services, alice)
    started = next(taken).event
    reading = read(engine, alice, started.turn_id)
    first = next(reading)
    outage.extend([Unavailable("database")] * 2)
    provider.close(), list(taken)
    names = [event.event.name for event in (first, *reading) if isinstance(event, NumberedEvent)]

    assert names == ["turn.started", "text.delta", "turn.interrupted"]
    assert not outage


def test_a_reader_is_refused_while_the_database_is_unavailable(engine, alice, finished, monkeypatch):
    def progress(*_, **__):
        raise Unavailable("database")

    monkeypatch.setattr(replay.turns, "progress", progress)
    with pytest.raises(Unavailable):
        list(read(engine, alice, finished[0][2]["turn_id"]))


def test_a_reader_of_a_deleted_turn_gets_turn_failed(engine, conversation, alice):
    provider = HangingProvider("word")
    services = make_services(engine, provider)
    taken = take_numbered(services, alice)
    started = next(taken).event
    reading = read(engine, alice, started.turn_id)
    next(reading)
    conversation.delete(f"/conversations/{started.conversation_id}", as_=alice)
    last = list(reading)[-1]
    provider.close(), list(taken)

    assert (last.number, last.event.name, last.event.data()["code"]) == (2, "turn.failed", "not_found")


def test_a_turn_shows_its_state(chat, alice, finished):
    state = chat.get(f"/chat/turns/{finished[0][2]['turn_id']}", as_=alice).json

    assert (state["status"], state["text"], state["last_event"]) == ("completed", text_of(finished), finished[-1][0])
    assert state["usage"] == finished[-1][2]["usage"]
    assert state["message_id"] == finished[-1][2]["message_id"]


def test_a_running_turn_shows_the_text_so_far(engine, chat, alice):
    provider = HangingProvider("so far")
    taken = take_numbered(make_services(engine, provider), alice)
    started = next(taken).event
    thread = threading.Thread(target=lambda: list(taken))
    thread.start()
    state = wait_until(lambda: (found := chat.get(f"/chat/turns/{started.turn_id}", as_=alice).json)["text"] and found)
    provider.close(), thread.join()

    assert (state["status"], state["text"], state["usage"]) == ("running", "so far", None)


def test_the_log_has_exactly_one_terminal_event(finished, log):
    assert [name for _, name, _ in log(finished[0][2]["turn_id"])] == ["turn.started", "text.delta", "turn.completed"]
