"""`parley prompts`."""

import pytest

from tests.cli import replies

VARIABLES = [{"name": "city", "type": "text", "choices": []}, {"name": "tone", "type": "choice", "choices": ["formal", "friendly"]}]
TRIP = {
    "id": "0190a1b2-0000-7000-8000-0000beef0001",
    "name": "trip",
    "version": 2,
    "description": "Plans a trip.",
    "variables": VARIABLES,
    "shared": False,
    "is_own": True,
    "owner": None,
    "created_at": "2026-11-01T10:00:00Z",
}
OF_GRACE = TRIP | {"id": "0190a1b2-0000-7000-8000-0000beef0002", "is_own": False, "owner": {"email": "grace@example.com"}}
GROUP = {"id": "0190a1b2-0000-7000-8000-0000cafe0001", "name": "Legal"}
PATH = f"/prompts/{TRIP['id']}"
TITLE = "/trip (beef0001)"


@pytest.fixture(autouse=True)
def _prompts(server, alice, utc):
    server.on("GET /prompts", replies.reply(200, {"items": [OF_GRACE, TRIP], "next_cursor": None}))
    server.on("GET /auth/groups", replies.reply(200, {"items": [GROUP], "next_cursor": None}))


def test_own_and_shared_prompts_are_listed(parley):
    assert parley("prompts").stdout.splitlines()[1:] == [
        "beef0002  /trip  grace@example.com  city tone  Plans a trip.",
        "beef0001  /trip  you                city tone  Plans a trip.",
    ]


def test_the_text_is_shown(server, parley):
    server.on(f"GET {PATH}", replies.reply(200, TRIP | {"text": "Go to {{city}}."}))

    assert parley("prompts", "show", "/trip").stdout == "Go to {{city}}.\n"


def test_the_own_prompt_is_used_and_missing_values_are_asked_for(server, parley):
    server.on(f"POST {PATH}/fill", replies.reply(200, {"text": "Go to Porto."}))
    result = parley("prompts", "use", "trip", "city=Porto=there", stdin="formal\n")

    assert "tone (formal, friendly)" in result.stderr
    assert result.stdout.endswith("Go to Porto.\n")
    assert server.requests[-1].body == {"values": {"city": "Porto=there", "tone": "formal"}}


def test_a_value_without_its_variable_is_a_usage_error(parley):
    assert parley("prompts", "use", "trip", "Porto").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "route", "body", "told"),
    [
        (["add", "/trip", "Go."], "POST /prompts", {"name": "trip", "text": "Go."}, f"Added {TITLE}"),
        (["change", "trip", "Go."], f"PATCH {PATH}", {"text": "Go."}, f"{TITLE} is at version 2"),
        (["change", "beef0001", "--name", "travel"], f"PATCH {PATH}", {"name": "travel"}, f"{TITLE} is at version 2"),
        (["rollback", "trip", "1"], f"POST {PATH}/rollback", {"version": 1}, f"{TITLE} is at version 2, with the text of version 1"),
        (["share", "trip"], f"PATCH {PATH}", {"shared": True}, f"{TITLE} is shared with all users"),
        (
            ["share", "trip", "--group", "legal"],
            f"PUT {PATH}/shares",
            {"group_id": GROUP["id"]},
            f"{TITLE} is shared with the group 'legal'",
        ),
        (
            ["unshare", "trip", "--group", "legal"],
            f"DELETE {PATH}/shares",
            {"group_id": GROUP["id"]},
            f"{TITLE} is no longer shared with the group 'legal'",
        ),
        (["delete", "trip", "--yes"], f"DELETE {PATH}", None, f"Deleted {TITLE}"),
    ],
)
def test_a_prompt_is_changed_and_the_change_is_told(server, parley, arguments, route, body, told):
    server.on(route, replies.reply(200, TRIP) if route.startswith(("POST", "PATCH")) else replies.reply(204))

    assert parley("prompts", *arguments).stdout == f"{told}\n"
    assert server.requests[-1].body == (body or {})


def test_a_text_is_read_from_a_file(server, parley, tmp_path):
    server.on("POST /prompts", replies.reply(201, TRIP))
    (tmp_path / "trip.txt").write_text("Go to {{city}}.\n")
    parley("prompts", "add", "trip", "--file", str(tmp_path / "trip.txt"))

    assert server.requests[-1].body == {"name": "trip", "text": "Go to {{city}}.\n"}


@pytest.mark.parametrize("arguments", [["add", "trip"], ["change", "trip"], ["add", "trip", "Go.", "--file", __file__]])
def test_a_prompt_without_a_text_or_with_two_is_refused(server, parley, arguments):
    assert parley("prompts", *arguments).exit_code == 2
    assert server.requests == []


def test_versions_are_listed(server, parley):
    version = {"version": 1, "created_at": "2026-11-01T10:00:00Z", "text": "Go to {{city}}."}
    server.on(f"GET {PATH}/versions", replies.reply(200, {"items": [version], "next_cursor": None}))

    assert parley("prompts", "versions", "trip").stdout.splitlines()[1] == "1        2026-11-01 10:00  Go to {{city}}."


def test_an_unknown_prompt_says_how_to_list_them(parley):
    assert parley("prompts", "show", "nowhere").stderr == "There is no prompt 'nowhere'. To list them: parley prompts\n"
