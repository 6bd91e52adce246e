"""Many workers behind one pooler: many writers of one conversation, and more workers than database connections.

`make chaos` runs fifty writers and a hundred workers. On a loaded machine a request may find no connection in time. Its 503 with
`Retry-After` is correct, and the client repeats it.
"""

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
from tests.support.time_limits import wait_until

IS_THOROUGH = bool(os.environ.get("PARLEY_TEST_CHAOS"))
WRITERS = 50 if IS_THOROUGH else 20
CLIENTS, CONNECTIONS = 100 if IS_THOROUGH else 40, 10
ANSWERED_S = 3.0


@pytest.fixture(scope="module")
def provider():
    with running_vendor() as vendor:
        vendor.script = FakeProvider(vendor)
        yield vendor.script


@pytest.fixture(scope="module")
def pool(postgres, database):
    """Environment variables of a pooler with ten connections."""
    with running_pgbouncer(postgres, pool_size=CONNECTIONS) as address:
        yield address


@pytest.fixture(scope="module")
def workers(provider, pool, environment, tmp_path_factory):
    """More workers than connections, behind that pooler."""
    models = Path(tmp_path_factory.mktemp("models")) / "models.toml"
    models.write_text(MODELS.format(url=provider.vendor.url))
    with running_lambda_workers(
        WorkerOptions(environment | pool | {"PARLEY_MODELS_FILE": str(models)}, workers_per_process=CLIENTS // 2, time_limit_s=90)
    ) as started:
        yield started


def is_turned_away(answer):
    """Whether the request found no connection and may be repeated."""
    return answer.status == 503 and answer.json["code"] == "unavailable" and int(answer.headers.get("retry-after", 0)) > 0


def ask_until_served(workers, requests):
    """Send all requests at the same moment, and repeat those that are turned away. Return the answers in order."""
    answers = [None] * len(requests)

    def all_served():
        numbers = [number for number, answer in enumerate(answers) if answer is None or is_turned_away(answer)]
        for number, pending in [(number, workers.send(**requests[number])) for number in numbers]:
            answers[number] = pending.answer()
        return not any(map(is_turned_away, answers))

    assert wait_until(all_served)
    return answers


def ask_until_one_is_served(workers, method, path, body=None, **options):
    return ask_until_served(workers, [{"method": method, "path": path, "body": body, **options}])[0]


def chat_request(person, question, **body):
    """Return a request that asks a question with its own idempotency key."""
    return {"method": "POST", "path": "/chat", "body": {"message": question, "stream": False} | body, "as_": person, "key": question}


def messages_of(workers, person, conversation_id):
    return ask_until_one_is_served(workers, "GET", f"/conversations/{conversation_id}/messages?limit=100", as_=person).json["items"]


@pytest.mark.parametrize("wait", [False, True])
def test_many_writers_of_one_conversation_lose_nothing_and_leave_no_gap(workers, alice, wait):
    conversation_id = ask_until_one_is_served(workers, "POST", "/conversations", {}, as_=alice).json["id"]
    body = {"conversation_id": conversation_id, "wait": wait, "stream": False}
    questions = [f"answers {number}{wait}" for number in range(WRITERS)]
    answers = ask_until_served(workers, [chat_request(alice, question, **body) for question in questions])
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
    """Users without memory: so the newest message of a prompt is the question alone, by which the provider counts its calls."""
    registered = [Person.registered(auth) for _ in range(10)]
    for person in registered:
        auth.patch("/auth/me", {"memory_enabled": False}, as_=person)
    return registered


def chat_requests(people, questions):
    """Return one request per question, spread over the people."""
    return [chat_request(people[number % len(people)], question) for number, question in enumerate(questions)]


def stored_and_asked(postgres, provider, questions):
    """Return how often each question is stored, and how often the model was asked it."""
    listed = ", ".join(f"'{question}'" for question in questions)
    stored = postgres.execute(f"SELECT parts->0->>'text', count(*) FROM messages WHERE parts->0->>'text' IN ({listed}) GROUP BY 1")
    return dict(stored), {question: len(provider.histories[question]) for question in questions}


def test_more_workers_than_connections_store_each_question_at_most_once(workers, people, postgres, provider):
    questions = [f"answers {number}crowd" for number in range(CLIENTS)]
    requests = chat_requests(people, questions)
    first, again = ask_until_served(workers, requests), ask_until_served(workers, requests)  # the same keys: the same turns

    assert {answer.status for answer in [*first, *again]} == {200}
    assert stored_and_asked(postgres, provider, questions) == (dict.fromkeys(questions, 1), dict.fromkeys(questions, 1))


@pytest.fixture
def crowded(pool):
    """Occupy every connection of the pool until the end of the block."""

    @contextmanager
    def crowded():
        with ExitStack() as taken:
            for _ in range(CONNECTIONS):
                address = {"host": "127.0.0.1", "port": pool["PARLEY_DATABASE_PORT"], "passfile": pool["PGPASSFILE"]}
                connection = psycopg.connect(**address, user="parley_app", dbname=DATABASE_NAME, prepare_threshold=None)
                taken.enter_context(connection).execute("SELECT 1")  # opens a transaction, which holds the connection
            yield

    return crowded


@pytest.mark.skipif(pgbouncer_program() is None, reason="PgBouncer is not installed: there is no pool to exhaust")
def test_a_request_without_a_connection_is_refused_within_three_seconds(workers, people, postgres, provider, crowded):
    questions = [f"answers {number}late" for number in range(10)]
    requests = chat_requests(people, questions)
    with crowded():
        sent = [workers.send(**request) for request in requests]
        refusals = [pending.answer() for pending in sent]
    answers = ask_until_served(workers, requests)

    assert all(map(is_turned_away, refusals))
    # A loaded machine may delay some refusals, but not every one of them.
    assert (max if IS_THOROUGH else min)(pending.elapsed_s for pending in sent) < ANSWERED_S
    assert {answer.status for answer in answers} == {200}
    assert stored_and_asked(postgres, provider, questions) == (dict.fromkeys(questions, 1), dict.fromkeys(questions, 1))


@pytest.mark.skipif(not IS_THOROUGH, reason="takes 40 seconds: make chaos")
def test_forty_seconds_of_silence_are_bridged_by_pings(workers, alice, provider):
    """The usual test run covers this in a fifth of a second: tests/functions/chat/turn/test_interruption.py."""
    sent = workers.send("POST", "/chat", {"message": "waits 1silence"}, as_=alice)
    threading.Timer(40, provider.gates[answer_pieces("waits 1silence", 1)[0]].set).start()
    answer = sent.answer()

    assert answer.body.count(b": ping\n\n") >= 2
    assert answer.events[-1][0] == "turn.completed"
