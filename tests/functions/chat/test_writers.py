"""Many workers in several processes behind one pooler: fifty writers of one conversation, and more workers than connections."""

import os
import threading
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from local.services.database import DATABASE_NAME
from local.services.pgbouncer import pgbouncer_program
from tests.fakes.provider import MODELS, FakeProvider, answer_pieces
from tests.fakes.vendor import running_vendor
from tests.support.api_gateway import Person
from tests.support.lambda_workers import WorkerOptions, running_lambda_workers
from tests.support.pgbouncer import running_pgbouncer

WRITERS = 50
CLIENTS, CONNECTIONS = 100, 10
ANSWERED_S = 3.0
IS_THOROUGH = bool(os.environ.get("PARLEY_TEST_CHAOS"))


@pytest.fixture(scope="module")
def provider():
    with running_vendor() as vendor:
        vendor.script = FakeProvider(vendor)
        yield vendor.script


@pytest.fixture(scope="module")
def pool(postgres, database):
    """Run a pooler with ten connections."""
    with running_pgbouncer(postgres, pool_size=CONNECTIONS) as address:
        yield address


@pytest.fixture(scope="module")
def workers(provider, pool, environment, tmp_path_factory):
    """Run a hundred workers on the pooler."""
    models = Path(tmp_path_factory.mktemp("models")) / "models.toml"
    models.write_text(MODELS.format(url=provider.vendor.url))
    with running_lambda_workers(
        WorkerOptions(environment | pool | {"PARLEY_MODELS_FILE": str(models)}, workers_per_process=CLIENTS // 2, time_limit_s=90)
    ) as started:
        yield started


def messages_of(workers, person, conversation_id):
    return workers.ask("GET", f"/conversations/{conversation_id}/messages?limit=100", as_=person).json["items"]


@pytest.mark.parametrize("wait", [False, True])
def test_fifty_writers_of_one_conversation_lose_nothing_and_leave_no_gap(workers, alice, wait):
    conversation_id = workers.ask("POST", "/conversations", {}, as_=alice).json["id"]
    body = {"conversation_id": conversation_id, "wait": wait, "stream": False}
    questions = [f"answers {number}{wait}" for number in range(WRITERS)]
    sent = [workers.send("POST", "/chat", body | {"message": question}, as_=alice) for question in questions]
    answers = [one.answer() for one in sent]
    accepted = [question for question, answer in zip(questions, answers, strict=True) if answer.status == 200]
    found = messages_of(workers, alice, conversation_id)

    assert {(one.status, one.json["code"]) for one in answers if one.status != 200} <= {(409, "conversation_busy")}
    assert [one["seq"] for one in found] == list(range(1, 2 * len(accepted) + 1))
    assert [one["role"] for one in found] == ["user", "assistant"] * len(accepted)
    assert accepted
    assert Counter(one["text"] for one in found[::2]) == Counter(accepted)
    assert [one["text"] for one in found[1::2]] == ["".join(answer_pieces(one["text"], 1)) for one in found[::2]]


@pytest.fixture(scope="module")
def people(auth):
    return [Person.registered(auth) for _ in range(10)]


def ask_all(workers, people, questions):
    """Send all questions at the same moment, each with its own key."""
    sent = [
        workers.send("POST", "/chat", {"message": question, "stream": False}, as_=people[number % len(people)], key=question)
        for number, question in enumerate(questions)
    ]
    return [one.answer() for one in sent], [one.elapsed_s for one in sent]


def is_turned_away(answer):
    return (answer.status, answer.json["code"], int(answer.headers.get("retry-after", 0)) > 0) == (503, "unavailable", True)


def stored_and_asked(postgres, provider, questions):
    """Return how often each question is stored, and how often a model was called with it."""
    listed = ", ".join(f"'{question}'" for question in questions)
    stored = postgres.execute(f"SELECT parts->0->>'text', count(*) FROM messages WHERE parts->0->>'text' IN ({listed}) GROUP BY 1")
    return dict(stored), {question: len(provider.asked[question]) for question in questions}


def test_a_hundred_workers_on_ten_connections_store_each_question_at_most_once(workers, people, postgres, provider):
    questions = [f"answers {number}crowd" for number in range(CLIENTS)]
    answers, _ = ask_all(workers, people, questions)
    for _ in range(20):
        if not (away := [number for number, answer in enumerate(answers) if answer.status != 200]):
            break
        assert all(is_turned_away(answers[number]) for number in away)
        answers, _ = ask_all(workers, people, questions)  # the same keys: served requests get their answer again

    assert stored_and_asked(postgres, provider, questions) == (dict.fromkeys(questions, 1), dict.fromkeys(questions, 1))


@pytest.fixture
def crowded(pool):
    """Hold every connection of the pool until the block ends."""

    @contextmanager
    def crowded():
        with ExitStack() as taken:
            for _ in range(CONNECTIONS):
                address = {"host": "127.0.0.1", "port": pool["PARLEY_DATABASE_PORT"], "passfile": pool["PGPASSFILE"]}
                connection = psycopg.connect(**address, user="parley_app", dbname=DATABASE_NAME, prepare_threshold=None)
                taken.enter_context(connection).execute("SELECT 1")  # this opens a transaction
            yield

    return crowded


@pytest.mark.skipif(pgbouncer_program() is None, reason="PgBouncer is not installed: there is no pool to exhaust")
def test_a_request_without_a_connection_is_refused_within_three_seconds(workers, people, postgres, provider, crowded):
    questions = [f"answers {number}late" for number in range(10)]
    with crowded():
        away, elapsed_s = ask_all(workers, people, questions)
    answers, _ = ask_all(workers, people, questions)

    assert all(map(is_turned_away, away))
    assert (max if IS_THOROUGH else min)(elapsed_s) < ANSWERED_S  # a busy machine may delay some of them, but not all
    assert {answer.status for answer in answers} == {200}
    assert stored_and_asked(postgres, provider, questions) == (dict.fromkeys(questions, 1), dict.fromkeys(questions, 1))


@pytest.mark.skipif(not IS_THOROUGH, reason="takes 40 seconds: make chaos")
def test_forty_seconds_of_silence_are_bridged_by_pings(workers, alice, provider):
    """The default run tests this with a silence of 0.2 seconds: tests/functions/chat/test_interruption.py."""
    sent = workers.send("POST", "/chat", {"message": "waits 1silence"}, as_=alice)
    threading.Timer(40, provider.gates["waits 1silence"].set).start()
    answer = sent.answer()

    assert answer.body.count(b": ping\n\n") >= 2
    assert answer.events[-1][0] == "turn.completed"
