"""`parley schedules` and `parley webhooks`."""

import time

import pytest

from tests.cli import replies

SCHEDULE = {
    "id": "0190a1b2-0000-7000-8000-0000cafe0001",
    "prompt": "Summarise the news",
    "cron": "30 7 * * 1-5",
    "every_minutes": None,
    "time_zone": "Europe/Berlin",
    "next_at": "2026-11-30T06:30:00Z",
}
RUN = {"due_at": "2026-11-27T06:30:00Z", "status": "failed", "conversation_id": None, "error_code": "budget_exhausted"}
HOOK = {
    "id": "0190a1b2-0000-7000-8000-0000beef0001",
    "url": "https://example.com/hook",
    "events": ["budget.warning"],
    "disabled_at": None,
    "secret": "whsec_c2VjcmV0",
}
DELIVERY = {"created_at": "2026-11-27T06:30:00Z", "type": "budget.warning", "status": "pending", "response_status": 503, "error": None}
PROMPT, ADDRESS = f"/schedules/{SCHEDULE['id']}", f"/webhooks/{HOOK['id']}"
TITLE = "'Summarise the news' (cafe0001)"


def page(*items):
    return replies.reply(200, {"items": list(items), "next_cursor": None})


@pytest.fixture(autouse=True)
def _lists(server, alice, utc):
    server.on("GET /schedules", page(SCHEDULE))
    server.on("GET /webhooks", page(HOOK))


def test_scheduled_prompts_are_listed_with_their_next_time(parley):
    assert parley("schedules").stdout.splitlines()[1].split("  ") == [
        "cafe0001",
        "30 7 * * 1-5 Europe/Berlin",
        "2026-11-30 06:30",
        "Summarise the news",
    ]


def test_runs_are_listed_with_their_problem(server, parley):
    server.on(f"GET {PROMPT}/runs", page(RUN))

    assert parley("schedules", "runs", "cafe0001").stdout.splitlines()[1].split() == ["2026-11-27", "06:30", "failed", "budget_exhausted"]


def test_a_prompt_is_scheduled_in_the_given_time_zone(server, parley):
    server.on("POST /schedules", replies.reply(201, SCHEDULE))
    done = parley("schedules", "add", "Summarise the news", "--cron", "30 7 * * 1-5", "--time-zone", "Europe/Berlin", "--email")
    sent = server.requests[-1].body

    assert (sent["cron"], sent["time_zone"], sent["email"], "every_minutes" in sent) == ("30 7 * * 1-5", "Europe/Berlin", True, False)
    assert done.stdout == "Scheduled cafe0001; it runs next at 2026-11-30 06:30\n"


@pytest.mark.parametrize(
    ("variable", "zone"),
    [("America/New_York", "America/New_York"), (":/usr/share/zoneinfo/Asia/Kolkata", "Asia/Kolkata"), ("XYZ-3", "Etc/GMT-3")],
)
def test_a_prompt_is_scheduled_in_the_time_zone_of_the_environment(server, parley, monkeypatch, variable, zone):
    server.on("POST /schedules", replies.reply(201, SCHEDULE))
    monkeypatch.setenv("TZ", variable)
    time.tzset()
    parley("schedules", "add", "Summarise the news", "--cron", "30 7 * * 1-5")

    assert server.requests[-1].body["time_zone"] == zone


def test_a_prompt_without_times_is_refused_before_any_request(server, parley):
    done = parley("schedules", "add", "Hello")

    assert (done.exit_code, server.requests) == (1, [])
    assert "either --cron or --every" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "route", "answer", "told"),
    [
        (["schedules", "pause", "cafe0001"], f"PATCH {PROMPT}", SCHEDULE, f"Paused {TITLE}"),
        (["schedules", "resume", "cafe0001"], f"PATCH {PROMPT}", SCHEDULE, f"{TITLE} runs next at 2026-11-30 06:30"),
        (["schedules", "delete", "cafe0001", "--yes"], f"DELETE {PROMPT}", None, f"Deleted {TITLE}"),
        (["webhooks", "add", "https://example.com/hook"], "POST /webhooks", HOOK, "whsec_c2VjcmV0"),
        (["webhooks", "rotate", "beef0001"], f"POST {ADDRESS}/rotate-secret", HOOK, "whsec_c2VjcmV0"),
        (["webhooks", "off", "beef0001"], f"PATCH {ADDRESS}", HOOK, "The web hook to https://example.com/hook is off"),
        (["webhooks", "on", "beef0001"], f"PATCH {ADDRESS}", HOOK, "The web hook to https://example.com/hook is on"),
        (["webhooks", "delete", "beef0001", "--yes"], f"DELETE {ADDRESS}", None, "Deleted the web hook to https://example.com/hook"),
    ],
)
def test_commands_change_what_they_name(server, parley, arguments, route, answer, told):
    server.on(route, replies.reply(200, answer) if answer else replies.reply(204))

    assert parley(*arguments).stdout == f"{told}\n"


def test_deliveries_are_listed_with_the_answer(server, parley):
    server.on(f"GET {ADDRESS}/deliveries", page(DELIVERY))

    assert parley("webhooks", "deliveries", "beef0001").stdout.splitlines()[1].split()[2:] == ["budget.warning", "pending", "503"]
    assert parley("webhooks").stdout.splitlines()[1].split() == ["beef0001", HOOK["url"], "budget.warning", "on"]
