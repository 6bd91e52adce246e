"""`parley memories` and `parley usage`."""

import pytest

from tests.cli import replies

FACT = {
    "id": "0190a1b2-0000-7000-8000-0000deadbeef",
    "text": "I live in Lyon.",
    "source": "user",
    "created_at": "2026-11-01T10:00:00Z",
    "ended_at": None,
}
OLD = FACT | {
    "id": "0190a1b2-0000-7000-8000-0000aaaabbbb",
    "text": "I live in Oslo.",
    "source": "extracted",
    "ended_at": "2026-11-01T10:00:00Z",
}
PATH = f"/memories/{FACT['id']}"


@pytest.fixture(autouse=True)
def _memories(server, alice, utc):
    server.on("GET /memories", replies.reply(200, {"items": [FACT, OLD], "next_cursor": None}))


def test_facts_that_hold_are_listed(parley):
    assert parley("memories").stdout.splitlines()[1:] == ["deadbeef  2026-11-01 10:00  you     I live in Lyon."]


def test_replaced_facts_are_listed_on_demand(parley):
    assert "a conversation  replaced  I live in Oslo." in parley("memories", "list", "--all").stdout


def test_without_facts_the_list_says_how_to_add_one(server, parley):
    server.on("GET /memories", replies.reply(200, {"items": [], "next_cursor": None}))

    assert "parley memories add" in parley("memories").stdout


def test_a_fact_is_added_corrected_and_forgotten(server, parley):
    server.on("POST /memories", replies.reply(201, FACT))
    server.on(f"PATCH {PATH}", replies.reply(200, FACT | {"text": "I live in Nice."}))
    server.on(f"DELETE {PATH}", replies.reply(204))

    assert parley("memories", "add", "I live in Lyon.").stdout == "Remembered as deadbeef: I live in Lyon.\n"
    assert parley("memories", "correct", "deadbeef", "I live in Nice.").stdout == "'I live in Lyon.' is now 'I live in Nice.'\n"
    assert parley("memories", "forget", "deadbeef", "--yes").stdout == "Forgot 'I live in Lyon.'\n"
    assert [request.body for request in server.requests if request.method in ("POST", "PATCH")] == [
        {"text": "I live in Lyon."},
        {"text": "I live in Nice."},
    ]


def test_forgetting_asks_first(server, parley):
    result = parley("memories", "forget", "deadbeef", stdin="n\n")

    assert result.exit_code == 130
    assert not [line for line in server.lines if line.startswith("DELETE")]


def test_facts_are_searched(server, parley):
    server.on("GET /memories/search", replies.reply(200, {"items": [FACT], "mode": "hybrid"}))

    assert "I live in Lyon." in parley("memories", "search", "home", "town").stdout
    assert server.lines == ["GET /memories/search?q=home+town&limit=20"]


@pytest.mark.parametrize(("command", "enabled"), [("off", False), ("on", True)])
def test_memory_is_switched(server, parley, command, enabled):
    server.on("PATCH /auth/me", replies.reply(200, {}))

    assert parley("memories", command).exit_code == 0
    assert server.requests[0].body == {"memory_enabled": enabled}


def test_usage_shows_days_models_and_the_budget(server, parley):
    day = {"day": "2026-11-20", "model": "gpt", "input_tokens": 12000, "output_tokens": 340, "cost_usd": 0.00003}
    budget = {"monthly_usd": 5, "spent_usd": 1.2, "reserved_usd": 0, "left_usd": 3.8, "resets_at": "2026-12-01T00:00:00Z"}
    server.on("GET /usage", replies.reply(200, {"items": [day], "next_cursor": None, "budget": budget}))

    *_, row, _, budget_line = parley("usage", "--from", "2026-11-01").stdout.splitlines()

    assert row.split() == ["2026-11-20", "gpt", "12,000", "340", "$0.00003"]
    assert budget_line == "[#######.......................] $1.20 of $5.00 spent this month, new on 2026-12-01 00:00"
    assert server.lines == ["GET /usage?limit=100&from=2026-11-01"]


def test_the_source_of_a_fact_is_the_message_that_states_it(server, parley):
    conversation_id = "0190a1b2-0000-7000-8000-0000cccc0001"
    told = OLD | {"conversation_id": conversation_id, "message_id": "m-3", "seq": 3}
    messages = [
        {"id": f"m-{seq}", "seq": seq, "created_at": "2026-11-01T10:00:00Z", "parts": [{"type": "text", "text": text}]}
        for seq, text in ((1, "Hello."), (3, "I live in Oslo, by the fjord."))
    ]
    server.on("GET /memories", replies.reply(200, {"items": [FACT, told], "next_cursor": None}))
    server.on(f"GET /conversations/{conversation_id}/messages", replies.reply(200, {"items": messages, "next_cursor": None}))

    assert parley("memories", "source", "aaaabbbb").stdout.splitlines()[-1] == "I live in Oslo, by the fjord."


def test_a_fact_of_the_user_has_no_source(parley):
    assert "You wrote this fact yourself" in parley("memories", "source", "deadbeef").stderr
