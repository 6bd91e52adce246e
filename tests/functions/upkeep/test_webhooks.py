"""Events reach web hooks signed and once, are retried with growing pauses, and never reach a private address."""

import base64
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from functions.upkeep.webhook_client import WebhookClient
from functions.upkeep.webhooks import MAX_FAILURES, PAUSES_S
from parley.auth.encryption import TextCipher
from parley.auth.webhook_signatures import new_secret, secret_context, signed_headers
from parley.clock import utc_now
from parley.db.transactions import user_scope
from parley.db.webhooks import deliveries, webhooks
from parley.errors import Unavailable
from parley.ids import new_id
from parley.jobs import DeliverEvent
from tests.functions.upkeep.webhook_receiver import runner_that_reaches, running_receiver

CIPHER = TextCipher(lambda: bytes(32))


class RecordingUpkeepQueue:
    """Records the jobs that wait."""

    def __init__(self):
        self.sent = []

    def send(self, job, *, delay_s=0):
        self.sent.append(job)

    def send_at(self, job, due_at):
        self.sent.append(job)

    def retry_soon(self, records, failures):
        pass


@pytest.fixture
def receiver():
    with running_receiver() as receiver:
        yield receiver


@pytest.fixture
def queue():
    return RecordingUpkeepQueue()


@pytest.fixture
def worker(upkeep, receiver, queue, monkeypatch):
    """The upkeep function, whose tool runner may reach the receiver alone."""
    from functions.upkeep import app

    client = WebhookClient(runner_that_reaches(receiver.host), CIPHER)
    monkeypatch.setattr(app, "services", replace(app.services, webhook_client=client, queue=queue))
    return upkeep


@pytest.fixture
def add_hook(engine, alice, receiver):
    """Add a web hook of alice, and return its id and its secret."""

    def add_hook(url=None):
        webhook_id, secret = new_id(), new_secret()
        encrypted = CIPHER.encrypt(secret, context=secret_context(webhook_id, user_id=alice.id))
        with user_scope(engine, alice.id) as connection:
            to = {"url": url or f"{receiver.url}/hook", "events": ["budget.warning"]}
            webhooks.add(connection, webhook_id, user_id=alice.id, secret=encrypted, **to)
        return webhook_id, secret

    return add_hook


@pytest.fixture
def note(engine, alice):
    """Note an event of alice, and return its deliveries."""

    def note(key="2026-11"):
        with user_scope(engine, alice.id) as connection:
            return deliveries.note(connection, "budget.warning", user_id=alice.id, key=key, data={"spent_usd": 4.0})

    return note


@pytest.fixture
def log(engine, alice):
    """Return the deliveries to a web hook of alice."""

    def log(webhook_id):
        with user_scope(engine, alice.id) as connection:
            return deliveries.page(connection, webhook_id, user_id=alice.id, limit=10, after=None)

    return log


def signature_of(text, secret):
    """Return a signature as a receiver computes it, without Parley's own code."""
    return "v1," + base64.b64encode(hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), text.encode(), "sha256")).decode()


def test_an_event_is_signed_and_names_what_happened(worker, alice, receiver, add_hook, note):
    _, secret = add_hook()
    (delivery_id,) = note()
    worker.deliver(DeliverEvent(alice.id, delivery_id))
    ((path, headers, body),) = receiver.requests
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)

    assert (path, json.loads(body)["type"], json.loads(body)["data"]) == ("/hook", "budget.warning", {"spent_usd": 4.0})
    assert signature_of(f"{delivery_id}.{headers['webhook-timestamp']}.{body}", secret) == headers["webhook-signature"]
    assert abs(utc_now() - at) < timedelta(minutes=1)


def test_a_rotated_secret_signs_for_a_day_beside_the_new_one(worker, engine, alice, receiver, add_hook, note):
    webhook_id, old = add_hook()
    new = CIPHER.encrypt(new_secret(), context=secret_context(webhook_id, user_id=alice.id))
    with user_scope(engine, alice.id) as connection:
        webhooks.rotate_secret(connection, webhook_id, user_id=alice.id, secret=new)
    (delivery_id,) = note()
    worker.deliver(DeliverEvent(alice.id, delivery_id))
    ((_, headers, body),) = receiver.requests
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)

    assert headers["webhook-signature"].split(" ")[1] == signed_headers([old], str(delivery_id), body, at=at)["webhook-signature"]


def test_an_event_that_is_noted_or_queued_twice_is_sent_once(worker, alice, receiver, add_hook, note):
    add_hook()
    (delivery_id,) = note()
    worker.deliver(*[DeliverEvent(alice.id, delivery_id)] * 3)

    assert (note(), len(receiver.requests)) == ([], 1)


def test_an_event_goes_only_to_enabled_web_hooks_that_want_it(engine, alice, add_hook, note):
    wanting, (disabled, _), (other, _) = add_hook(), add_hook(), add_hook()
    with user_scope(engine, alice.id) as connection:
        webhooks.change(connection, disabled, user_id=alice.id, events=None, is_enabled=False)
        webhooks.change(connection, other, user_id=alice.id, events=["turn.waiting_for_approval"], is_enabled=None)

    assert len(note()) == 1
    assert wanting


def test_a_refused_event_is_sent_again_after_growing_pauses(worker, alice, receiver, queue, add_hook, note, log, postgres):
    webhook_id, _ = add_hook()
    receiver.status = 503
    (delivery_id,) = note()
    pauses = []
    for _ in range(len(PAUSES_S) + 1):
        worker.deliver(DeliverEvent(alice.id, delivery_id))
        pauses += [round((job.due_at - utc_now()).total_seconds(), -1) for job in queue.sent]
        queue.sent.clear()
        postgres.execute(f"UPDATE webhook_deliveries SET due_at = now() WHERE id = '{delivery_id}'")

    assert pauses == [float(pause) for pause in PAUSES_S]
    assert (len(receiver.requests), log(webhook_id)[0].status, log(webhook_id)[0].response_status) == (len(PAUSES_S) + 1, "failed", 503)


def test_a_web_hook_that_fails_often_in_a_row_is_disabled(worker, engine, alice, receiver, add_hook, note, postgres):
    webhook_id, _ = add_hook()
    receiver.status = 410
    for number in range(MAX_FAILURES):
        (delivery_id,) = note(f"event {number}")
        postgres.execute(f"UPDATE webhook_deliveries SET attempts = {len(PAUSES_S)} WHERE id = '{delivery_id}'")
        worker.deliver(DeliverEvent(alice.id, delivery_id))

    with user_scope(engine, alice.id) as connection:
        assert webhooks.get(connection, webhook_id, user_id=alice.id).disabled_at is not None
    assert note("the next event") == []


def test_a_redirect_is_not_followed(worker, alice, receiver, add_hook, note, log):
    webhook_id, _ = add_hook()
    receiver.status, receiver.headers = 307, {"Location": f"{receiver.url}/elsewhere"}
    (delivery_id,) = note()
    worker.deliver(DeliverEvent(alice.id, delivery_id))

    assert [path for path, _, _ in receiver.requests] == ["/hook"]
    assert (log(webhook_id)[0].status, log(webhook_id)[0].response_status) == ("pending", 307)


def test_no_event_reaches_a_private_address(worker, alice, add_hook, note, log):
    with running_receiver() as private:
        webhook_id, _ = add_hook(f"{private.url}/hook")
        (delivery_id,) = note()
        worker.deliver(DeliverEvent(alice.id, delivery_id))

    assert private.requests == []
    assert (log(webhook_id)[0].status, bool(log(webhook_id)[0].error)) == ("pending", True)


def test_a_message_before_its_time_goes_back_without_the_database(worker, alice, queue, monkeypatch):
    from functions.upkeep import app

    def refuse(*_):
        raise AssertionError("the database was woken")

    monkeypatch.setattr(app, "recover", refuse)
    job = DeliverEvent(alice.id, new_id(), utc_now() + timedelta(hours=5))

    assert (worker.deliver(job), queue.sent) == ([], [job])


def test_a_delivery_whose_message_was_lost_is_found(worker, alice, queue, add_hook, note, postgres):
    add_hook()
    (delivery_id,) = note()
    postgres.execute(f"UPDATE webhook_deliveries SET due_at = now() - interval '2 minutes' WHERE id = '{delivery_id}'")

    assert worker.recover()["events_sent_again"] >= 1
    assert DeliverEvent(alice.id, delivery_id) in queue.sent


@pytest.fixture
def nearly_spent_group(auth, alice, bob, postgres):
    """The id of a group of alice's with bob, of whose pool 80% is spent."""
    group = auth.post("/auth/groups", {"name": "Research"}, as_=alice).json["id"]
    auth.call("PUT", f"/auth/groups/{group}/members", {"email": bob.email}, as_=alice)
    auth.post(f"/auth/groups/{group}/join", as_=bob)
    postgres.execute(f"UPDATE groups SET monthly_budget_usd = 10 WHERE id = '{group}'", dbname="parley")
    month = "date_trunc('month', now() AT TIME ZONE 'UTC')"
    postgres.execute(f"INSERT INTO group_budgets (group_id, month, spent_usd) VALUES ('{group}', {month}, 8)", dbname="parley")
    return group


def test_the_owner_of_a_group_is_warned_of_its_pool_once_and_a_member_is_not(
    worker, engine, alice, bob, queue, add_hook, nearly_spent_group, postgres
):
    webhook_id, _ = add_hook()
    with user_scope(engine, bob.id) as connection:
        webhooks.add(connection, new_id(), user_id=bob.id, url="https://example.com/", events=["budget.warning"], secret=b"secret")
    warned = [worker.recover()["pool_warnings"] for _ in range(2)]
    found = postgres.execute(f"SELECT id, data FROM webhook_deliveries WHERE webhook_id = '{webhook_id}'", dbname="parley")

    assert warned == [1, 0]
    assert [(data["group_id"], data["spent_usd"], data["budget_usd"]) for _, data in found] == [(nearly_spent_group, 8.0, 10.0)]
    assert DeliverEvent(alice.id, found[0][0]) in queue.sent


def test_an_owner_is_not_warned_again_after_a_sweep_in_the_same_month(worker, add_hook, nearly_spent_group, postgres):
    webhook_id, _ = add_hook()
    first = worker.recover()["pool_warnings"]
    postgres.execute(f"UPDATE webhook_deliveries SET created_at = now() - interval '8 days' WHERE webhook_id = '{webhook_id}'")
    swept = worker.sweep()

    assert (first, swept["pool_warnings"], swept["webhook_deliveries"]) == (1, 0, 0)


def test_a_disabled_web_hook_gets_no_event_that_waited(worker, engine, alice, receiver, add_hook, note, log):
    webhook_id, _ = add_hook()
    (delivery_id,) = note()
    with user_scope(engine, alice.id) as connection:
        webhooks.change(connection, webhook_id, user_id=alice.id, events=None, is_enabled=False)
    worker.deliver(DeliverEvent(alice.id, delivery_id))

    assert (receiver.requests, log(webhook_id)[0].status) == ([], "failed")


@pytest.mark.parametrize(("type", "days"), [("schedule.ended", 8), ("budget.warning", 33)])
def test_old_deliveries_are_swept(upkeep, add_hook, note, postgres, type, days):
    add_hook()
    (delivery_id,) = note()
    aged = f"type = '{type}', created_at = now() - interval '{days} days'"
    postgres.execute(f"UPDATE webhook_deliveries SET {aged} WHERE id = '{delivery_id}'")

    assert upkeep.sweep()["webhook_deliveries"] == 1


def test_an_unavailable_key_is_retried_and_loses_nothing(worker, alice, add_hook, note, log, monkeypatch):
    from functions.upkeep import app

    def unavailable():
        raise Unavailable("parameter store")

    webhook_id, _ = add_hook()
    (delivery_id,) = note()
    monkeypatch.setattr(app, "services", replace(app.services, webhook_client=WebhookClient(None, TextCipher(unavailable))))

    assert worker.deliver(DeliverEvent(alice.id, delivery_id)) == ["0"]
    assert log(webhook_id)[0].status == "pending"
