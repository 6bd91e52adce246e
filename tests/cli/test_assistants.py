"""`parley assistants`, and `parley chat --assistant`."""

import pytest

from tests.cli import replies
from tests.cli.document_replies import DOCUMENT_ID

ASSISTANT = {
    "id": "0190a1b2-0000-7000-8000-0000beef0001",
    "version": 2,
    "name": "Contract reader",
    "picture": None,
    "description": "Answers from the contract.",
    "model": None,
    "starters": [],
    "shared": False,
    "is_own": True,
    "owner": None,
    "created_at": "2026-11-01T10:00:00Z",
}
OF_GRACE = ASSISTANT | {
    "id": "0190a1b2-0000-7000-8000-0000beef0002",
    "name": "Editor",
    "is_own": False,
    "owner": {"email": "grace@example.com", "display_name": None},
}
GROUP = {"id": "0190a1b2-0000-7000-8000-0000cafe0001", "name": "Legal"}
PATH = f"/assistants/{ASSISTANT['id']}"
TITLE = "'Contract reader' (beef0001)"


@pytest.fixture(autouse=True)
def _assistants(server, alice, utc):
    server.on("GET /assistants", replies.reply(200, {"items": [ASSISTANT, OF_GRACE], "next_cursor": None}))
    server.on("GET /auth/groups", replies.reply(200, {"items": [GROUP], "next_cursor": None}))


def test_own_and_shared_assistants_are_listed(parley):
    assert parley("assistants").stdout.splitlines() == [
        "id        name             model  owner              description",
        "beef0001  Contract reader         you                Answers from the contract.",
        "beef0002  Editor                  grace@example.com  Answers from the contract.",
    ]


def test_the_instructions_are_shown(server, parley):
    server.on(f"GET {PATH}", replies.reply(200, ASSISTANT | {"instructions": "Answer briefly."}))

    assert parley("assistants", "show", "contract READER").stdout == "Answer briefly.\n"


@pytest.mark.parametrize(
    ("arguments", "route", "body", "told"),
    [
        (["add", "Contract reader"], "POST /assistants", {"name": "Contract reader"}, f"Added {TITLE}"),
        (
            ["add", "X", "--instructions", "Be brief.", "--tool", "clock", "--document", DOCUMENT_ID, "--no-memory", "--starter", "Why?"],
            "POST /assistants",
            {
                "name": "X",
                "instructions": "Be brief.",
                "tools": ["clock"],
                "documents": [DOCUMENT_ID],
                "memory": "none",
                "starters": ["Why?"],
            },
            f"Added {TITLE}",
        ),
        (["change", "beef0001", "--no-tools"], f"PATCH {PATH}", {"tools": False}, f"{TITLE} is at version 2"),
        (
            ["rollback", "contract reader", "1"],
            f"POST {PATH}/rollback",
            {"version": 1},
            f"{TITLE} is at version 2, with the settings of version 1",
        ),
        (["share", "beef0001"], f"PATCH {PATH}", {"shared": True}, f"{TITLE} is shared with all users"),
        (
            ["share", "beef0001", "--group", "legal"],
            f"PUT {PATH}/shares",
            {"group_id": GROUP["id"]},
            f"{TITLE} is shared with the group 'legal'",
        ),
        (
            ["unshare", "beef0001", "--group", "legal"],
            f"DELETE {PATH}/shares",
            {"group_id": GROUP["id"]},
            f"{TITLE} is no longer shared with the group 'legal'",
        ),
        (["delete", "beef0001", "--yes"], f"DELETE {PATH}", None, f"Deleted {TITLE}"),
    ],
)
def test_an_assistant_is_changed_and_the_change_is_told(server, parley, arguments, route, body, told):
    server.on(route, replies.reply(200, ASSISTANT) if route.startswith(("POST", "PATCH")) else replies.reply(204))

    assert parley("assistants", *arguments).stdout == f"{told}\n"
    assert server.requests[-1].body == (body or {})


def test_versions_are_listed(server, parley):
    version = {"version": 1, "created_at": "2026-11-01T10:00:00Z", "model": "offline", "instructions": "Answer briefly."}
    server.on(f"GET {PATH}/versions", replies.reply(200, {"items": [version], "next_cursor": None}))

    assert parley("assistants", "versions", "beef0001").stdout.splitlines()[1] == "1        2026-11-01 10:00  offline  Answer briefly."


def test_options_that_exclude_each_other_are_refused(server, parley):
    assert parley("assistants", "add", "X", "--tool", "clock", "--no-tools").exit_code == 2
    assert server.requests == []


def test_a_chat_uses_the_assistant(server, parley):
    server.on("POST /chat", replies.answer("Hello."))
    parley("chat", "--assistant", "Contract reader", "Hi")

    assert server.requests[-1].body == {"message": "Hi", "stream": True, "assistant_id": ASSISTANT["id"]}


def test_an_unknown_assistant_says_how_to_list_them(parley):
    assert parley("chat", "-a", "Cook", "Hi").stderr == "There is no assistant 'Cook'. To list them: parley assistants\n"
