"""The database connection drops at every statement of a turn: no acknowledged message is lost or stored twice."""

from contextlib import contextmanager

import pytest

from functions.chat.turn import begin, tool_loop
from functions.chat.turn.events import MessageRead, TurnCompleted
from parley.db.turn.turn_begin import IdempotencyKey
from parley.errors import Unavailable
from parley.llm import messages as llm
from parley.llm.errors import ProviderFailed
from tests.functions.chat.statements import recorded_statements
from tests.support.toolbox import DONE, RecordingToolbox, ScriptedRounds, tool_calls_answer
from tests.support.turns import ScriptedProvider, make_services, stored_messages, take

ANSWER = [llm.TextDelta("Hel"), llm.TextDelta("lo"), llm.Finished("stop", llm.Usage(1000, 100))]
BEGIN, RECALL, END = 5, 1, 4
# A turn with tools in a new conversation: its first transaction, and all its statements.
TOOLS_BEGIN, TOOLS_TURN = 4, 15
STEER = "UPDATE turns SET steering = CAST(:message AS jsonb) WHERE user_id = :u AND status = 'running'"
COUNTS = """
SELECT (SELECT count(*) FROM messages WHERE user_id = :u) AS messages, (SELECT count(*) FROM usage WHERE user_id = :u) AS calls,
       (SELECT count(*) FROM turns WHERE user_id = :u AND status = 'running') AS running,
       (SELECT coalesce(sum(reserved_usd), 0) FROM budgets WHERE user_id = :u) AS reserved
"""


@pytest.fixture
def dropping(engine, postgres):
    """Return a function that makes services whose connection is cut before statement number k."""

    def at(k):
        def cut(number, connection):
            if number == k:
                postgres.terminate_backend(connection.connection.dbapi_connection.info.backend_pid)

        return recorded_statements(engine, cut)

    return at


@pytest.fixture
def cut_commit(monkeypatch):
    """Return a function after which the next turn loses its connection during its first commit, before or after the commit is done."""
    real, cuts = begin.principal_scope, []

    def cut(moment):
        if moment in cuts:
            cuts.remove(moment)
            raise Unavailable("database")

    @contextmanager
    def scope(engine, principal):
        with real(engine, principal) as connection:
            yield connection
            cut("before")
        cut("after")

    monkeypatch.setattr(begin, "principal_scope", scope)
    return cuts.append


@pytest.fixture
def toolbox(change, alice):
    """Return a toolbox with a tool, while which the user sends a message to the turn."""
    message = '[{"id": "m", "text": "Faster"}]'
    return RecordingToolbox().add("write", lambda: change(STEER, u=alice.id, message=message))


def take_with_tools(engine, person, toolbox):
    """Take a turn whose model calls a tool, a priced call before and one after it, and return its events."""
    rounds = ScriptedRounds(tool_calls_answer(("w", "write", {})), DONE)
    return take(make_services(engine, rounds, toolbox=toolbox), person, "mine", model="handy-priced", tools=True)


@pytest.fixture
def conversation_id(engine, alice):
    started, *_ = take(make_services(engine, ScriptedProvider(ANSWER)), alice, "before", model="priced")
    return started.conversation_id


def attempt(services, person, text, **options):
    """Take a turn, and return its events, or the error that refused it."""
    try:
        return take(services, person, text, **options), None
    except Unavailable as refused:
        return [], refused


@pytest.mark.parametrize("k", range(1, BEGIN + RECALL + END + 1))
def test_a_dropped_connection_leaves_a_whole_turn_or_none(engine, alice, row, dropping, conversation_id, k):
    services, idempotency_key = make_services(engine, ScriptedProvider(ANSWER)), IdempotencyKey("POST /chat", "a key", b"body")
    with dropping(k):
        events, refused = attempt(services, alice, "mine", conversation_id=conversation_id, idempotency_key=idempotency_key, model="priced")
    if refused:
        assert (refused.status, refused.retry_after_s > 0, k <= BEGIN) == (503, True, True)
        assert len(stored_messages(engine, alice, conversation_id)) == 2
        events = take(services, alice, "mine", conversation_id=conversation_id, idempotency_key=idempotency_key, model="priced")

    assert isinstance(events[-1], TurnCompleted)
    assert [m.text for m in stored_messages(engine, alice, conversation_id)] == ["before", "Hello", "mine", "Hello"]
    assert tuple(row(COUNTS, u=alice.id)) == (4, 2, 0, 0)


def test_the_drops_cover_every_statement_of_a_turn(engine, alice, conversation_id):
    with recorded_statements(engine) as found:
        take(make_services(engine, ScriptedProvider(ANSWER)), alice, "mine", conversation_id=conversation_id, model="priced")

    assert len(found) == BEGIN + RECALL + END


@pytest.mark.parametrize("k", range(TOOLS_BEGIN + 1, TOOLS_TURN + 1))
def test_a_turn_goes_on_after_its_tools_although_its_connection_was_dropped(engine, alice, row, dropping, toolbox, k):
    with dropping(k):
        events = take_with_tools(engine, alice, toolbox)

    assert isinstance(events[-1], TurnCompleted)
    assert toolbox.names == ["write"]
    assert [event.text for event in events if isinstance(event, MessageRead)] == ["Faster"]
    assert tuple(row(COUNTS, u=alice.id)) == (2, 2, 0, 0)


def test_the_drops_cover_every_statement_of_a_turn_with_tools(engine, alice, toolbox):
    with recorded_statements(engine) as found:
        take_with_tools(engine, alice, toolbox)

    assert len(found) == TOOLS_TURN


@pytest.fixture
def lost_reply(monkeypatch):
    """Lose the reply to the first commit of the tool loop."""
    real, losses = tool_loop.user_scope, iter([Unavailable("database")])

    @contextmanager
    def scope(engine, user_id):
        with real(engine, user_id) as connection:
            yield connection
        for loss in losses:
            raise loss

    monkeypatch.setattr(tool_loop, "user_scope", scope)


@pytest.mark.usefixtures("lost_reply")
def test_a_round_is_paid_and_reserved_once_if_only_the_reply_to_its_commit_is_lost(engine, alice, row):
    toolbox = RecordingToolbox().add("write", lambda: "sent")
    events = take_with_tools(engine, alice, toolbox)

    assert isinstance(events[-1], TurnCompleted)
    assert tuple(row(COUNTS, u=alice.id)) == (2, 2, 0, 0)


@pytest.mark.usefixtures("lost_reply")
def test_a_call_is_repeated_although_the_reply_to_its_reservation_was_lost(engine, alice, row):
    rounds = ScriptedRounds([llm.Thought("priced", "sealed"), ProviderFailed("acme", "broke off")], ANSWER)
    events = take(make_services(engine, rounds), alice, "mine", model="priced")

    assert isinstance(events[-1], TurnCompleted)
    assert tuple(row(COUNTS, u=alice.id)) == (2, 2, 0, 0)


def test_a_turn_goes_on_if_only_the_reply_to_its_first_commit_is_lost(engine, alice, row, cut_commit):
    cut_commit("after")
    events = take(make_services(engine, ScriptedProvider(ANSWER)), alice, "mine", model="priced")

    assert isinstance(events[-1], TurnCompleted)
    assert tuple(row(COUNTS, u=alice.id)) == (2, 1, 0, 0)


def test_a_turn_whose_first_commit_failed_is_refused_and_costs_nothing(engine, alice, row, cut_commit):
    cut_commit("before")
    provider = ScriptedProvider(ANSWER)
    _, refused = attempt(make_services(engine, provider), alice, "mine", model="priced")

    assert (refused.status, provider.requests) == (503, [])
    assert tuple(row(COUNTS, u=alice.id)) == (0, 0, 0, 0)
