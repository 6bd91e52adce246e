"""Summaries: jobs are delivered at least once and take effect exactly once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest

from functions.summarize import jobs, schedule
from functions.summarize.summaries import update_summary
from parley.db import messages, outbox, summaries
from parley.db.engine import make_engine
from parley.db.transactions import user_scope
from parley.ids import new_id
from parley.jobs import OutboxJob
from parley.llm import messages as llm
from parley.llm.errors import UnusableAnswer
from tests.functions.summarize.services import RecordingOfflineProvider, make_deadline, make_services
from tests.support.api_gateway import Function
from tests.support.turns import HELLO, ScriptedProvider, take
from tests.support.turns import make_services as make_chat_services

STORED = "SELECT upto_seq FROM summaries WHERE user_id = :id ORDER BY upto_seq"


def request_update(engine, person, conversation_id):
    """Request a summary of a conversation and return the job."""
    with user_scope(engine, person.id) as connection:
        entry, _ = outbox.request_summary(connection, UUID(conversation_id), user_id=person.id, is_due=True)
    return OutboxJob.of(entry)


def test_a_conversation_is_summarised(summarize, say, conversation, alice):
    id = say(alice, "I want to bake bread")
    assert conversation.get(f"/conversations/{id}/summary", as_=alice).status == 404
    summarize.run_schedule()
    summary = conversation.get(f"/conversations/{id}/summary", as_=alice).json

    assert summary["upto_seq"] == 2
    assert "I want to bake bread" in summary["text"]


def test_a_summary_extends_the_previous_summary(engines, engine, say, rows, alice):
    id, provider = say(alice, "I want to bake bread"), RecordingOfflineProvider()
    services = make_services(engines, provider)
    update_summary(services, UUID(id), user_id=alice.id, upto_seq=2, deadline=make_deadline())
    say(alice, "Rye, please", id)
    update_summary(services, UUID(id), user_id=alice.id, upto_seq=4, deadline=make_deadline())
    prompt = provider.requests[-1].messages[0].text

    assert rows(STORED, id=alice.id) == [(4,)]
    assert "The summary so far:" in prompt
    assert "[1]" not in prompt


REFUSAL = [llm.TextDelta("I cannot help with that.", is_refusal=True), llm.Finished("stop", llm.Usage(9, 9))]
FILTERED = [llm.TextDelta("They want"), llm.Finished("content_filter", llm.Usage(9, 9))]


@pytest.mark.parametrize("answer", [REFUSAL, FILTERED])
def test_a_refusal_does_not_replace_the_summary_so_far(engines, say, conversation, alice, answer):
    id = say(alice, "I want to bake bread")
    update_summary(make_services(engines), UUID(id), user_id=alice.id, upto_seq=2, deadline=make_deadline())
    before = conversation.get(f"/conversations/{id}/summary", as_=alice).json
    say(alice, "Rye, please", id)
    with pytest.raises(UnusableAnswer):
        update_summary(make_services(engines, ScriptedProvider(answer)), UUID(id), user_id=alice.id, upto_seq=4, deadline=make_deadline())

    assert conversation.get(f"/conversations/{id}/summary", as_=alice).json == before


@pytest.fixture
def overlapping(database):
    """Return the services of several workers with database connections of their own."""

    engine_pairs = []

    def overlapping(count):
        engine_pairs.extend({"app": make_engine(database), "background": make_engine(database, role="background")} for _ in range(count))
        return [make_services(each, RecordingOfflineProvider()) for each in engine_pairs]

    yield overlapping
    for each in engine_pairs:
        each["app"].dispose(), each["background"].dispose()


def test_five_messages_and_five_schedules_at_once_leave_one_summary(overlapping, engine, say, rows, change, alice):
    change("DELETE FROM outbox")
    job = request_update(engine, alice, say(alice, "I want to bake bread"))
    workers, barrier = overlapping(10), Barrier(10)

    def run(index):
        barrier.wait()
        if index < 5:
            return jobs.run_job(workers[index], job, deadline=make_deadline())
        return schedule.run_scheduled(workers[index], make_deadline())

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(run, range(10)))

    assert rows(STORED, id=alice.id) == [(2,)]
    assert sum(services.router.provider_for(None).tasks().count("summary") for services in workers) == 1
    assert rows("SELECT count(*) FROM outbox WHERE user_id = :id", id=alice.id) == [(0,)]


def test_a_run_that_comes_late_stores_nothing_beside_a_newer_summary(engine, say, alice):
    id = UUID(say(alice, "one", say(alice, "two")))
    with user_scope(engine, alice.id) as connection:
        stored = [summaries.add(connection, id, user_id=alice.id, upto_seq=upto, text=f"{upto}", model="m", tokens=1) for upto in (4, 4, 2)]
        newest = summaries.newest(connection, id, user_id=alice.id)

    assert stored == [True, False, False]
    assert newest.upto_seq == 4


def test_a_long_history_is_summarised_in_bounded_segments(engines, engine, conversation, rows, alice):
    id, provider = UUID(conversation.post("/conversations", {}, as_=alice).json["id"]), RecordingOfflineProvider()
    with user_scope(engine, alice.id) as connection:
        for number in range(60):
            parts, role = [{"type": "text", "text": f"{number} " + "word " * 60}], ("user", "assistant")[number % 2]
            messages.add(connection, new_id(), user_id=alice.id, conversation_id=id, role=role, parts=parts, tokens=100)
    update_summary(make_services(engines, provider), id, user_id=alice.id, upto_seq=60, deadline=make_deadline())

    assert rows(STORED, id=alice.id) == [(60,)]
    assert len(provider.requests) > 1
    assert max(len(request.messages[0].text) for request in provider.requests) < 3 * 4000


def broken(request):
    raise RuntimeError("the model breaks")


def test_a_failing_conversation_backs_off_and_does_not_block_others(engines, engine, say, rows, change, alice, bob):
    change("DELETE FROM outbox")
    id = say(alice, "poison")
    say(bob, "hello")
    provider = RecordingOfflineProvider(lambda request: broken(request) if "poison" in request.messages[0].text else None)
    done = schedule.run_scheduled(make_services(engines, provider), make_deadline())

    assert (done["done"], done["failed"]) == (3, 2)
    assert rows(STORED, id=bob.id) == [(2,)]
    left = rows("SELECT tries, claimed_until, due_at > now() + interval '14 minutes' FROM outbox WHERE subject_id = :id", id=UUID(id))
    assert left == [(1, None, True)] * 2
    assert schedule.run_scheduled(make_services(engines, provider), make_deadline())["failed"] == 0


def test_the_user_pays_for_a_summary_and_a_broken_call_frees_what_it_reserved(engines, engine, say, rows, alice):
    job = request_update(engine, alice, say(alice, "hello"))
    with pytest.raises(RuntimeError):
        jobs.run_job(make_services(engines, RecordingOfflineProvider(broken)), job, deadline=make_deadline())
    jobs.run_job(make_services(engines), job, deadline=make_deadline())

    assert rows("SELECT status FROM usage WHERE user_id = :id AND purpose = 'summary' ORDER BY at", id=alice.id)[-1] == ("completed",)
    assert rows("SELECT count(*) FROM budget_reservations WHERE user_id = :id", id=alice.id) == [(0,)]


def test_without_budget_the_job_waits_and_no_model_is_called(engines, engine, say, rows, change, alice):
    job, provider = request_update(engine, alice, say(alice, "hello")), RecordingOfflineProvider()
    change("UPDATE users SET monthly_budget_usd = 0 WHERE id = :id", id=alice.id)
    jobs.run_job(make_services(engines, provider), job, deadline=make_deadline())

    assert provider.requests == []
    assert rows("SELECT tries FROM outbox WHERE id = :id", id=job.entry_id) == [(1,)]


def test_no_transaction_is_open_while_the_model_writes(engines, engine, postgres, say, alice):
    seen, job = [], request_update(engine, alice, say(alice, "hello"))
    idle = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'parley_app' AND state LIKE 'idle in transaction%'"
    jobs.run_job(
        make_services(engines, RecordingOfflineProvider(lambda request: seen.append(postgres.execute(idle)[0][0]))),
        job,
        deadline=make_deadline(),
    )

    assert seen
    assert set(seen) == {0}


def test_a_job_close_to_the_deadline_goes_back_to_the_queue(engines, engine, say, alice):
    job, services = request_update(engine, alice, say(alice, "hello")), make_services(engines)
    jobs.run_job(services, job, deadline=make_deadline(1))

    assert [entry.id for entry in services.queue.sent] == [job.entry_id]


def test_the_job_of_a_deleted_conversation_is_dropped(engines, engine, say, conversation, rows, alice):
    id = say(alice, "hello")
    job = request_update(engine, alice, id)
    conversation.delete(f"/conversations/{id}", as_=alice)
    jobs.run_job(make_services(engines), job, deadline=make_deadline())

    assert rows("SELECT count(*) FROM outbox WHERE id = :id", id=job.entry_id) == [(0,)]


def test_a_requested_summary_is_queued_at_once(summarize, say, conversation, environment, waiting, rows, alice):
    id = say(alice, "hello")
    before = waiting()

    assert conversation.post(f"/conversations/{id}/summarize", as_=alice).status == 202
    assert waiting() == before + 2  # for the summary and for the facts
    # If the message is lost, the sweep sends it again soon.
    assert rows("SELECT topic FROM outbox WHERE subject_id = :id AND due_at < now() + interval '1 hour' AND topic = 'summary'", id=id)


def test_another_users_conversation_cannot_be_read_or_summarised(say, conversation, alice, bob):
    id = say(alice, "hello")

    assert conversation.post(f"/conversations/{id}/summarize", as_=bob).status == 404
    assert conversation.get(f"/conversations/{id}/summary", as_=bob).status == 404


def test_an_unknown_event_is_refused(summarize):
    with pytest.raises(Exception, match="neither a batch nor a schedule"):
        summarize.handler({}, Function.CONTEXT)


def test_the_prompt_contains_the_summary_of_messages_outside_the_window(engine, say, alice):
    provider, ids = ScriptedProvider(HELLO), [UUID(say(alice, text)) for text in ("hello", "hello " * 600)]
    for id in ids:
        with user_scope(engine, alice.id) as connection:
            summaries.add(connection, id, user_id=alice.id, upto_seq=2, text="They said hello.", model="m", tokens=5)
        take(make_chat_services(engine, provider), alice, "word " * 200, conversation_id=id)
    short, long = [request.system for request in provider.requests]

    assert "They said hello." in long
    assert "They said hello." not in short


@pytest.fixture
def entry_of(rows):
    """Return a conversation's entry for its summary as (is due soon, generation)."""
    statement = "SELECT due_at < now() + interval '1 day', generation FROM outbox WHERE topic = 'summary' AND subject_id = :id"
    return lambda id: rows(statement, id=UUID(id))


@pytest.fixture
def remember(engines, engine, alice):
    """Run the memory update of a conversation and return the topics of the entries that it sent."""

    def remember(id):
        services = make_services(engines)
        with user_scope(engine, alice.id) as connection:
            job = OutboxJob.of(outbox.request_memory_update(connection, UUID(id), user_id=alice.id))
        jobs.run_job(services, job, deadline=make_deadline())
        return [entry.topic for entry in services.queue.sent]

    return remember


def test_the_summary_of_a_short_conversation_waits_for_the_schedule(engines, say, rows, remember, entry_of, alice):
    id = say(alice, "I want to bake bread")
    sent, waiting = remember(id), entry_of(id)
    schedule.run_scheduled(make_services(engines), make_deadline())

    assert (sent, waiting) == ([], [(False, 0)])
    assert rows(STORED, id=alice.id) == [(2,)]
    assert entry_of(id) == []


def test_a_conversation_that_may_leave_the_window_is_summarised_soon_and_sent_once(say, change, remember, entry_of, alice):
    id = say(alice, "I want to bake bread")
    assert remember(id) == []
    change("UPDATE messages SET tokens = :tokens WHERE conversation_id = :id", id=UUID(id), tokens=jobs.SUMMARY_DUE_TOKENS)

    assert remember(id) == ["summary"]
    assert remember(id) == []
    assert entry_of(id) == [(True, 2)]


def test_a_lost_summary_job_is_sent_again(say, change, remember, alice):
    id = say(alice, "I want to bake bread")
    change("UPDATE messages SET tokens = :tokens WHERE conversation_id = :id", id=UUID(id), tokens=jobs.SUMMARY_DUE_TOKENS)
    assert remember(id) == ["summary"]
    change("UPDATE outbox SET due_at = now() WHERE topic = 'summary' AND subject_id = :id", id=UUID(id))

    assert remember(id) == ["summary"]
