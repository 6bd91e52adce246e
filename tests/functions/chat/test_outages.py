"""The database is shut down again and again while clients take turns, and the vendor fails, too. `make chaos` takes 500 turns.

Each answer that a client received is stored exactly once. A refused client retries with the same key.
"""

import os
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.fakes.provider import MODELS, FakeProvider
from tests.fakes.vendor import running_vendor
from tests.functions.chat.outages import CUT_OFF, Outages
from tests.support.api_gateway import Person
from tests.support.lambda_workers import WorkerOptions, running_lambda_workers
from tests.support.pgbouncer import running_pgbouncer
from tests.support.postgres import running_postgres

TURNS = int(os.environ.get("PARLEY_TEST_CHAOS", "0"))
CLIENTS = 8
NORMAL_S = 2.0
# Without memory, the newest message of a prompt is the question alone, by which the provider counts its calls.
INSERT_USER = """
WITH made AS (INSERT INTO users (id, email, memory_enabled)
                   VALUES (gen_random_uuid(), gen_random_uuid() || '@example.com', false) RETURNING id)
INSERT INTO sessions (user_id, id, expires_at) SELECT id, gen_random_uuid(), now() + interval '1 day' FROM made RETURNING user_id, id
"""
TURNS_OF = """
SELECT t.idempotency_key, t.status, question.parts->0->>'text', coalesce(answer.parts->0->>'text', ''),
       (SELECT count(*) FROM messages m WHERE m.parts->0->>'text' = t.idempotency_key),
       (SELECT count(*) FROM usage u WHERE u.turn_id = t.id),
       (SELECT count(*) FROM turn_events e WHERE e.turn_id = t.id AND e.name IN ('turn.completed', 'turn.interrupted', 'turn.failed'))
  FROM turns t JOIN messages question ON question.id = t.user_message_id LEFT JOIN messages answer ON answer.id = t.message_id
"""
NUMBERS = (
    "SELECT max(c.last_seq), array_agg(m.seq ORDER BY m.seq) FROM conversations c JOIN messages m ON m.conversation_id = c.id GROUP BY c.id"
)
SUMS = "SELECT (SELECT sum(cost_usd) FROM usage), (SELECT sum(spent_usd) FROM budgets)"


@pytest.fixture(scope="module")
def own_postgres(environment, tmp_path_factory):
    """Run a separate database with the current schema."""
    with TemporaryDirectory(prefix="parley-test-") as folder, running_postgres(Path(folder)) as server:
        migrate(server)
        yield server


def migrate(server):
    from functions.migrate.upgrade import upgrade
    from parley.db.engine import make_engine
    from parley.settings import DatabaseSettings

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSFILE", str(server.passfile))
        engine = make_engine(DatabaseSettings.read().model_copy(update={"database_port": server.port}), role="owner")
        upgrade(engine)
        engine.dispose()


@pytest.fixture(scope="module")
def provider():
    with running_vendor() as vendor:
        vendor.script = FakeProvider(vendor)
        yield vendor.script


@pytest.fixture(scope="module")
def run(own_postgres, environment, provider, tmp_path_factory, request):
    """Run the clients and the outages once for all tests."""
    models = tmp_path_factory.mktemp("models") / "models.toml"
    models.write_text(MODELS.format(url=provider.vendor.url))
    people = [add_person(own_postgres) for _ in range(CLIENTS)]
    with running_pgbouncer(own_postgres) as address:
        variables = environment | address | {"PARLEY_MODELS_FILE": str(models)}
        with running_lambda_workers(WorkerOptions(variables, workers_per_process=CLIENTS)) as workers:
            pause_s = (lambda draw: draw.uniform(5, 40)) if TURNS else (lambda draw: draw.uniform(1.5, 3))
            outages = Outages(workers, own_postgres, people, TURNS or 60, pause_s, min_outages=4 if TURNS else 2)
            outages.run()
    if TURNS:
        print_results(request, outages)
    return outages


def print_results(request, outages):
    """Print the results of a long run."""
    codes, late_s = Counter(attempt.code or "answered" for attempt in outages.attempts()), max(outages.recoveries_s())
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{len(outages.questions)} turns, {len(outages.spans)} outages, the last refusal {late_s:.2f} s after one: {dict(codes)}")


def add_person(server):
    (row,) = server.execute(INSERT_USER)
    user_id, session_id = map(str, row)
    return Person("", {}, {"sub": user_id, "sid": session_id, "scope": "chat conversations", "exp": 4_000_000_000})


@pytest.fixture(scope="module")
def turns(run):
    """Return the stored turns by question."""
    found = run.postgres.execute(TURNS_OF)
    assert len(found) == len({row[0] for row in found}) == len(run.questions)
    return {row[0]: row for row in found}


@pytest.mark.timeout(0 if TURNS else 120)
def test_the_database_was_down_while_clients_sent_requests(run):
    assert len(run.spans) >= 2
    assert any(attempt.is_unavailable for attempt in run.attempts())


def test_every_client_was_answered_in_the_end(run):
    assert [repeated.question for repeated in run.questions if not repeated.last.is_final] == []


def test_every_refusal_had_retry_after(run):
    away = [attempt.answer for attempt in run.attempts() if attempt.is_unavailable]

    assert {(attempt.status, int(attempt.headers["retry-after"]) > 0) for attempt in away if not attempt.events} <= {(503, True)}
    assert {attempt.events[-1][1]["retryable"] for attempt in away if attempt.events} <= {True}


def test_only_the_vendor_and_the_database_caused_errors(run):
    codes = {attempt.code for attempt in run.attempts()}

    assert codes <= {
        "",
        "unavailable",
        "in_progress",
        "conversation_busy",
        "provider_rejected",
        "provider_failed",
        "provider_busy",
        CUT_OFF,
    }


def test_each_question_is_stored_once_with_the_answer_its_client_received(run, turns):
    for repeated in run.questions:
        _, status, question, answer, times, _, ends = turns[repeated.question]
        assert (question, times, ends) == (repeated.question, 1, 1)
        assert answer == repeated.last.text
        assert status in ("completed", "interrupted", "failed")


def test_each_model_call_belongs_to_a_turn_and_is_charged_once(run, turns, provider):
    wrong = {}
    for question in (repeated.question for repeated in run.questions):
        calls, (_, status, *_, charges, _) = len(provider.histories[question]), turns[question]
        is_right = charges == calls if status == "completed" else charges <= calls
        if not is_right or calls > (3 if question.startswith("errs") else 1):
            wrong[question] = f"{status}, {calls} calls, {charges} charges"

    assert wrong == {}
    ((charged, spent),) = run.postgres.execute(SUMS)
    assert charged == spent


def test_no_number_is_missing(run):
    for last_seq, numbers in run.postgres.execute(NUMBERS):
        assert numbers == list(range(1, last_seq + 1))


def test_turns_succeed_two_seconds_after_the_database_is_back(run):
    assert (max if TURNS else min)(run.recoveries_s()) < NORMAL_S  # a busy machine may delay some of them, but not all


def test_no_transaction_was_open_while_a_model_answered(run):
    assert run.open_while_streaming == 0
