from collections.abc import Callable

import boto3
import pytest

from functions.upkeep.sweep import sweep
from parley.db import outbox
from parley.db.accounts import exports
from parley.db.transactions import user_scope
from parley.ids import new_id
from parley.jobs import OutboxJob, parse_job

OLD = {
    "one_time_codes": "(user_id, hash, purpose, expires_at) VALUES ('{user}', 'h', 'reset_password', now() - interval '1 second')",
    "idempotency_keys": "(user_id, route, key, fingerprint, created_at) VALUES ('{user}', 'r', 'k', 'f', now() - interval '25 hours')",
    "sessions": "(user_id, id, expires_at) VALUES ('{user}', gen_random_uuid(), now() - interval '31 days')",
    "signups": "(id, email, password_hash, expires_at) VALUES (gen_random_uuid(), '{user}', 'h', now() - interval '1 second')",
    "invites": "(id, hash, created_by, expires_at) VALUES (gen_random_uuid(), '{user}', '{user}', now() - interval '1 second')",
    "exports": "(user_id, id, status, ready_at) VALUES ('{user}', gen_random_uuid(), 'ready', now() - interval '25 hours')",
    "imports": (
        "(user_id, id, filename, bytes, status, created_at)"
        " VALUES ('{user}', gen_random_uuid(), 'f', 1, 'ready', now() - interval '91 days')"
    ),
    "api_keys": "(user_id, id, name, scopes, expires_at) VALUES ('{user}', gen_random_uuid(), 'n', '{{chat}}', now() - interval '31 days')",
    "audit_events": "(user_id, id, event, at) VALUES ('{user}', gen_random_uuid(), 'login', now() - interval '401 days')",
    "deployment_audit": "(id, action, actor, outcome, at) VALUES (gen_random_uuid(), 'login', 'user', 'done', now() - interval '401 days')",
    "oidc_logins": (
        "(state_hash, issuer, nonce, code_verifier, browser_hash, expires_at)"
        " VALUES ('{user}', 'i', 'n', 'v', 'b', now() - interval '1 second')"
    ),
    "oidc_logout_tokens": "(hash, expires_at) VALUES ('{user}', now() - interval '1 second')",
    "passkey_challenges": "(hash, expires_at) VALUES ('{user}', now() - interval '1 second')",
    "group_invitations": "(group_id, email, created_at) VALUES ('{user}', 'grace@example.com', now() - interval '31 days')",
    "scim_tokens": "(id, hash, expires_at) VALUES (gen_random_uuid(), '{user}', now() - interval '1 second')",
    "guesses": "(key, free_at) VALUES ('{user}', now() - interval '31 days')",
    "responses": (
        "(user_id, id, input, document, created_at) VALUES ('{user}', gen_random_uuid(), '[]', '{{}}', now() - interval '31 days')"
    ),
    "client_conversations": "(user_id, id, used_at) VALUES ('{user}', gen_random_uuid(), now() - interval '401 days')",
    "rate_limits": "(user_id, subject_id, free_at) VALUES ('{user}', '{user}', now() - interval '61 minutes')",
    "budget_reservations": (
        "(user_id, subject_id, id, month, amount_usd, expires_at)"
        " VALUES ('{user}', '{user}', gen_random_uuid(), current_date, 1, now() - interval '61 minutes')"
    ),
}
NAMES = {"one_time_codes": "codes"}
# What is swept of turns and of responses needs one, and has tests of its own.
TURNS = {"turn_keys", "turn_events", "interrupted", "approvals_expired", "response_pieces"}
SENT = {
    "sent_again",
    "events_sent_again",
    "pool_warnings",
    "schedules_started",
    "runs_restarted",
    "documents",
    "stalled_imports",
    "vectors",
}


@pytest.fixture
def count(postgres) -> Callable[[str], int]:
    return lambda table: postgres.execute(f"SELECT count(*) FROM {table}")[0][0]


@pytest.fixture
def group(postgres, alice):
    """A group that has alice's id, to which an invitation can refer."""
    postgres.execute(f"INSERT INTO groups (id, name) VALUES ('{alice.id}', 'Research')")
    yield
    postgres.execute(f"DELETE FROM groups WHERE id = '{alice.id}'")


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize("table", sorted(OLD))
def test_only_expired_rows_are_deleted(upkeep, postgres, count, table, alice):
    upkeep.sweep()
    before = count(table)
    postgres.execute(f"INSERT INTO {table} {OLD[table].format(user=alice.id)}")

    assert upkeep.sweep()[NAMES.get(table, table)] == 1
    assert count(table) == before


# A little younger than the rows that are deleted.
YOUNGER = {
    "1 second": "-1 hour",
    "61 minutes": "50 minutes",
    "25 hours": "23 hours",
    "31 days": "29 days",
    "91 days": "89 days",
    "401 days": "399 days",
}


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize("table", sorted(OLD))
def test_a_row_is_kept_until_it_has_expired(upkeep, postgres, count, table, alice):
    upkeep.sweep()
    before = count(table)
    row = OLD[table].format(user=alice.id)
    for old, younger in YOUNGER.items():
        row = row.replace(f"now() - interval '{old}'", f"now() - interval '{younger}'")
    postgres.execute(f"INSERT INTO {table} {row}")

    assert upkeep.sweep()[NAMES.get(table, table)] == 0
    assert count(table) == before + 1


def test_every_table_with_expiring_rows_is_swept(upkeep):
    assert upkeep.sweep().keys() == {NAMES.get(table, table) for table in OLD} | TURNS | SENT | {
        "shared_links",
        "webhook_deliveries",
        "schedule_runs",
        "imports",
        "stalled_imports",
    }


def test_only_expired_links_are_deleted(upkeep, chat, conversation, postgres, alice):
    id = chat.post("/chat", {"message": "hello", "stream": False}, as_=alice).json["conversation_id"]
    old, new = (conversation.post(f"/conversations/{id}/links", {}, as_=alice).json["id"] for _ in range(2))
    upkeep.sweep()
    postgres.execute(f"UPDATE shared_links SET expires_at = now() - interval '1 second' WHERE id = '{old}'")

    assert upkeep.sweep()["shared_links"] == 1
    assert postgres.execute(f"SELECT id::text FROM shared_links WHERE user_id = '{alice.id}'") == [(new,)]


def test_an_import_without_a_live_worker_is_queued_again(upkeep, postgres, alice):
    others = upkeep.sweep()["stalled_imports"]
    values = f"('{alice.id}', gen_random_uuid(), 'f', 1, 'processing', now() - interval '31 minutes')"
    postgres.execute(f"INSERT INTO imports (user_id, id, filename, bytes, status, leased_until) VALUES {values}")

    assert upkeep.sweep()["stalled_imports"] == others + 1


@pytest.fixture
def turn_id(chat, alice):
    response = chat.post("/chat", {"message": "hello", "stream": False}, as_=alice, headers={"Idempotency-Key": "a key"})
    return response.json["turn_id"]


def test_a_turns_events_and_key_are_deleted_after_a_day(upkeep, postgres, turn_id):
    upkeep.sweep()
    postgres.execute(f"UPDATE turn_events SET at = now() - interval '26 hours' WHERE turn_id = '{turn_id}'")
    postgres.execute(f"UPDATE turns SET started_at = now() - interval '26 hours' WHERE id = '{turn_id}'")
    done = upkeep.sweep()

    assert (done["turn_events"], done["turn_keys"]) == (3, 1)
    assert postgres.execute(f"SELECT idempotency_key, fingerprint FROM turns WHERE id = '{turn_id}'") == [(None, None)]


def test_a_recent_turn_keeps_its_events_and_key(upkeep, postgres, turn_id):
    upkeep.sweep()

    assert postgres.execute(f"SELECT idempotency_key FROM turns WHERE id = '{turn_id}'") == [("a key",)]
    assert postgres.execute(f"SELECT count(*) FROM turn_events WHERE turn_id = '{turn_id}'") == [(3,)]


def add_entry(engine, user):
    with user_scope(engine, user.id) as connection:
        return outbox.add(connection, "erase", user_id=user.id)


@pytest.fixture
def waiting(environment, alice):
    """Take the jobs of alice's outbox in the queue, which also has jobs, turn checks and events of other tests."""
    sqs, url = boto3.client("sqs"), environment["PARLEY_UPKEEP_QUEUE_URL"]

    def waiting():
        jobs = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            jobs += [parse_job(message["Body"]) for message in messages]
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [job for job in jobs if isinstance(job, OutboxJob) and job.user_id == alice.id]

    return waiting


def test_a_lost_job_is_queued_again_when_it_is_due(upkeep, engine, postgres, waiting, alice):
    entry = add_entry(engine, alice)
    upkeep.sweep()
    assert OutboxJob.of(entry) not in waiting()
    postgres.execute(f"UPDATE outbox SET due_at = now() WHERE id = '{entry.id}'")

    assert upkeep.sweep()["sent_again"] == 1
    assert waiting() == [OutboxJob.of(entry)]
    assert upkeep.sweep()["sent_again"] == 0


def test_more_lost_jobs_than_one_batch_are_all_queued(upkeep, engine, postgres, waiting, alice):
    upkeep.sweep(), waiting()
    entries = [add_entry(engine, alice) for _ in range(101)]
    postgres.execute(f"UPDATE outbox SET due_at = now() WHERE user_id = '{alice.id}'")

    assert upkeep.sweep()["sent_again"] == 101
    assert {message.entry_id for message in waiting()} == {entry.id for entry in entries}


def test_a_failing_part_does_not_stop_the_other_parts(upkeep, postgres, alice, caplog):
    from functions.upkeep.app import services

    postgres.execute(f"INSERT INTO one_time_codes {OLD['one_time_codes'].format(user=alice.id)}")
    postgres.execute("REVOKE DELETE ON guesses FROM parley_background")
    try:
        done = sweep(services)
    finally:
        postgres.execute("GRANT DELETE ON guesses TO parley_background")

    assert done["guesses"] is None
    assert done["codes"] >= 1  # codes of earlier tests may have expired too
    assert "sweep_part_failed" in caplog.text


def test_an_export_fails_after_too_many_attempts(upkeep, engine, postgres, waiting, alice):
    with user_scope(engine, alice.id) as connection:
        export = exports.add(connection, new_id(), user_id=alice.id)
        entry = outbox.add(connection, "export", user_id=alice.id, subject_id=export.id)
    postgres.execute(f"UPDATE outbox SET due_at = now(), attempts = 5 WHERE id = '{entry.id}'")
    upkeep.sweep()

    assert postgres.execute(f"SELECT status FROM exports WHERE id = '{export.id}'") == [("failed",)]
    assert postgres.execute(f"SELECT id FROM outbox WHERE id = '{entry.id}'") == waiting() == []
