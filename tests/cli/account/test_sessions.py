"""`parley sessions`: list and end login sessions."""

import json

import pytest

from tests.cli import replies

pytestmark = pytest.mark.usefixtures("utc")

HERE = {
    "id": "0190a1b2-0000-7000-8000-00000000aaaa",
    "address": "192.0.2.1",
    "user_agent": "parley-cli\x1b[2J",
    "last_used_at": "2026-03-01T14:02:33Z",
    "current": True,
}
THERE = {**HERE, "id": "0190a1b2-0000-7000-8000-00001111bbbb", "address": None, "user_agent": "Firefox", "current": False}


@pytest.fixture(autouse=True)
def listed(server, alice):
    """Two sessions on two pages."""
    pages = [{"items": [HERE], "next_cursor": "next"}, {"items": [THERE], "next_cursor": None}]
    server.on("GET /auth/sessions", *(replies.reply(200, page) for page in pages))


@pytest.mark.parametrize("command", [["sessions"], ["sessions", "list"]])
def test_all_sessions_are_listed_and_this_one_is_marked(parley, command):
    assert parley(*command).stdout.splitlines() == [
        "id        address    program     last used",
        "0000aaaa  192.0.2.1  parley-cli  2026-03-01 14:02  this one",
        "1111bbbb             Firefox     2026-03-01 14:02",
    ]


def test_options_of_the_list_command_work_without_its_name(parley):
    assert json.loads(parley("sessions", "--json").stdout) == [HERE, THERE]


def test_another_session_is_ended_by_its_short_id(server, alice, parley):
    server.on(f"DELETE /auth/sessions/{THERE['id']}", replies.reply(204))

    result = parley("sessions", "end", "1111bbbb")

    assert result.stdout == "Ended session 1111bbbb, last used 2026-03-01 14:02\n"
    assert list(alice.read().by_url) == [server.url]


def test_ending_this_session_removes_its_tokens(server, alice, parley):
    server.on(f"DELETE /auth/sessions/{HERE['id']}", replies.reply(204))

    assert parley("sessions", "end", HERE["id"]).exit_code == 0
    assert alice.read().by_url == {}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("0190a1b2", "More than one session matches"),
        ("ffff", "There is no session"),
        ("../x", "There is no session"),
        ("", "There is no session"),
    ],
)
def test_an_ambiguous_or_unknown_id_ends_no_session(server, parley, given, sentence):
    result = parley("sessions", "end", given)

    assert (result.exit_code, result.stderr) == (1, f"{sentence} '{given}'. To list them: parley sessions\n")
    assert not any(line.startswith("DELETE") for line in server.lines)
