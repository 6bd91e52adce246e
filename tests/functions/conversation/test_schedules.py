"""Scheduled prompts: their routes, their limits, and their next times."""

import boto3
import pytest

WISH = {"prompt": "Summarise the news", "cron": "30 7 * * 1-5", "time_zone": "Europe/Berlin"}


@pytest.fixture
def add(conversation, alice):
    """Add a scheduled prompt of alice and return the answer."""
    return lambda **changes: conversation.post("/schedules", WISH | changes, as_=alice)


def change(conversation, alice, made, **changes):
    return conversation.call("PATCH", f"/schedules/{made.json['id']}", changes, as_=alice)


def test_a_scheduled_prompt_is_listed_with_its_next_time(conversation, add, alice):
    made = add()

    assert (made.status, made.json["next_at"][14:16]) == (201, "30")
    assert conversation.get("/schedules", as_=alice).json["items"] == [made.json]


def test_a_new_prompt_sets_the_alarm(add, environment):
    sqs, url = boto3.client("sqs"), environment["PARLEY_UPKEEP_QUEUE_URL"]
    sqs.purge_queue(QueueUrl=url)
    made = add()
    bodies = [message["Body"] for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]]

    assert [body for body in bodies if '"alarm"' in body and made.json["next_at"][:19] in body]


def test_a_repeated_request_with_its_key_adds_one_prompt(conversation, alice):
    first, second = (conversation.post("/schedules", WISH, as_=alice, headers={"Idempotency-Key": "once"}) for _ in range(2))

    assert (second.status, second.json) == (201, first.json)
    assert conversation.get("/schedules", as_=alice).json["items"] == [first.json]


@pytest.mark.parametrize(
    "wrong",
    [
        {"cron": "*/5 * * * *"},
        {"cron": "0 0 31 2 *"},
        {"cron": "whenever"},
        {"time_zone": "Mars/Olympus"},
        {"every_minutes": 60},
        {"cron": None, "every_minutes": 59},
        {"prompt": " "},
    ],
)
def test_a_prompt_that_could_not_run_or_runs_too_often_is_refused(conversation, add, alice, wrong):
    assert add(**wrong).status == 422
    assert conversation.get("/schedules", as_=alice).json["items"] == []


def test_a_user_has_at_most_as_many_as_the_deployment_allows(add):
    statuses = [add().status for _ in range(11)]

    assert statuses == [201] * 10 + [409]


def test_a_paused_prompt_has_no_next_time_until_it_is_enabled(conversation, add, alice):
    made = add()
    paused = change(conversation, alice, made, enabled=False).json
    enabled = change(conversation, alice, made, enabled=True, prompt="Again").json

    assert (paused["next_at"], paused["paused_at"] is None) == (None, False)
    assert (enabled["next_at"], enabled["paused_at"], enabled["prompt"]) == (made.json["next_at"], None, "Again")


def test_new_times_replace_the_old_ones(conversation, add, alice):
    changed = change(conversation, alice, add(), every_minutes=90).json

    assert (changed["cron"], changed["every_minutes"]) == (None, 90)
    assert change(conversation, alice, add(), cron="* * * * *").status == 422


def test_new_times_give_a_running_prompt_its_next_time_and_a_paused_one_none(conversation, add, alice):
    running, paused = add(), add()
    change(conversation, alice, paused, enabled=False)
    changed = [change(conversation, alice, made, cron="45 9 * * *").json["next_at"] for made in (running, paused)]

    assert (changed[0][14:16], changed[1]) == ("45", None)


def test_a_change_that_repeats_the_times_does_not_put_off_the_next_run(conversation, add, alice):
    made = add(cron=None, every_minutes=10_080)
    repeated = {"cron": None, "every_minutes": 10_080, "time_zone": "Europe/Berlin"}
    changed = change(conversation, alice, made, prompt="Summarise the week", enabled=True, **repeated).json

    assert (changed["prompt"], changed["next_at"]) == ("Summarise the week", made.json["next_at"])


def test_a_prompt_that_runs_more_often_than_a_new_limit_allows_can_be_paused(conversation, add, alice, postgres):
    made = add(cron=None, every_minutes=60)
    postgres.execute(f"UPDATE scheduled_prompts SET every_minutes = 1 WHERE id = '{made.json['id']}'")
    paused = change(conversation, alice, made, enabled=False)

    assert (paused.status, paused.json["next_at"]) == (200, None)


def test_an_enabled_prompt_has_all_its_attempts_again(conversation, add, alice, postgres):
    made = add()
    postgres.execute(f"UPDATE scheduled_prompts SET failures = 2 WHERE id = '{made.json['id']}'")
    change(conversation, alice, made, enabled=True)

    assert postgres.execute(f"SELECT failures FROM scheduled_prompts WHERE id = '{made.json['id']}'") == [(0,)]


def test_a_deleted_prompt_is_gone(conversation, add, alice):
    path = f"/schedules/{add().json['id']}"

    assert conversation.call("DELETE", path, as_=alice).status == 204
    assert conversation.get(f"{path}/runs", as_=alice).status == 404


def test_every_run_is_on_one_page_of_the_list(conversation, add, alice, postgres):
    schedule_id = add().json["id"]
    rows = f"SELECT '{alice.id}', gen_random_uuid(), '{schedule_id}', now() + n * interval '1 h' FROM generate_series(1, 3) n"
    postgres.execute(f"INSERT INTO schedule_runs (user_id, id, schedule_id, due_at) {rows}")
    first = conversation.get(f"/schedules/{schedule_id}/runs?limit=2", as_=alice).json
    second = conversation.get(f"/schedules/{schedule_id}/runs?limit=2&cursor={first['next_cursor']}", as_=alice).json

    assert (len(first["items"]), len(second["items"]), second["next_cursor"]) == (2, 1, None)
    assert len({run["id"] for run in first["items"] + second["items"]}) == 3
