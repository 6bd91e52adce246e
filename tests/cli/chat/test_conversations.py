"""`parley conversations` and `parley history`."""

import json

import pytest

from tests.cli import replies

pytestmark = pytest.mark.usefixtures("utc")

FIRST = "0190a1b2-0000-7000-8000-00000000aaaa"
SECOND = "0190a1b2-0000-7000-8000-00001111bbbb"
EMPTY = {"items": [], "next_cursor": None}


@pytest.fixture
def listed(server, alice):
    """Two conversations on two pages."""
    first = {"id": FIRST, "title": "Sums\x1b[31m and\nmore", "updated_at": "2026-03-01T14:02:33Z"}
    second = {"id": SECOND, "title": None, "updated_at": "2026-02-28T09:00:00Z"}
    pages = [{"items": [first], "next_cursor": "next+1"}, {"items": [second], "next_cursor": None}]
    server.on("GET /conversations", *(replies.reply(200, page) for page in pages))


@pytest.mark.usefixtures("listed")
def test_conversations_are_listed_with_a_short_id(parley):
    lines = parley("conversations", "--limit", "1").stdout.splitlines()

    assert lines == ["id        last activity     title", "0000aaaa  2026-03-01 14:02  Sums and more"]


@pytest.mark.usefixtures("listed")
def test_conversations_can_be_printed_as_json(parley):
    items = json.loads(parley("conversations", "--json", "--limit", "1").stdout)

    assert [item["id"] for item in items] == [FIRST]


@pytest.mark.usefixtures("listed")
def test_a_page_that_long_items_cut_short_is_continued(parley):
    items = json.loads(parley("conversations", "--json").stdout)

    assert [item["id"] for item in items] == [FIRST, SECOND]


@pytest.mark.usefixtures("listed")
def test_history_shows_who_said_what(server, parley):
    messages = [
        {"role": "user", "text": "What is 6*7?", "status": "completed", "created_at": "2026-03-01T14:02:33Z"},
        {"role": "assistant", "text": "42\x1b]0;x\x07", "model": "offline", "status": "interrupted", "created_at": "2026-03-01T14:02:34Z"},
    ]
    server.on(f"GET /conversations/{SECOND}/messages", replies.reply(200, {"items": messages, "next_cursor": None}))

    result = parley("history", "1111BBBB")

    assert result.stdout == "you · 2026-03-01 14:02\nWhat is 6*7?\n\nassistant · offline · 2026-03-01 14:02 · interrupted\n42\n\n"
    assert "cursor=next%2B1" in server.lines[1]


def test_history_reads_every_page_of_the_last_conversation(server, alice, parley):
    server.on("GET /conversations", replies.reply(200, {"items": [{"id": FIRST}], "next_cursor": None}))
    pages = [{"items": [{"role": "user", "text": text}], "next_cursor": cursor} for text, cursor in (("one", "c"), ("two", None))]
    server.on(f"GET /conversations/{FIRST}/messages", *(replies.reply(200, page) for page in pages))

    assert parley("history").stdout == "you\none\n\nyou\ntwo\n\n"


def test_a_conversation_of_more_than_2000_messages_is_saved_whole(server, alice, parley):
    server.on(f"GET /conversations/{FIRST}", replies.reply(200, {"id": FIRST, "title": "Years"}))
    texts = [f"Message {number}" for number in range(2100)]
    cuts = [texts[start : start + 100] for start in range(0, 2100, 100)]
    pages = [
        {"items": [{"role": "user", "text": text} for text in cut], "next_cursor": "c" if cut is not cuts[-1] else None} for cut in cuts
    ]
    server.on(f"GET /conversations/{FIRST}/messages", *(replies.reply(200, page) for page in pages))

    saved = parley("conversations", "export", FIRST, "--json")

    assert [message["text"] for message in json.loads(saved.stdout)] == texts


@pytest.mark.parametrize("command", ["conversations", "history"])
def test_without_conversations_it_says_how_to_start_one(server, alice, parley, command):
    server.on("GET /conversations", replies.reply(200, EMPTY))

    result = parley(command)

    assert 'No conversations yet. Start one: parley chat "Hello"\n' in (result.stdout, result.stderr)


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    ("given", "sentence"),
    [("0190a1b2", "More than one conversation matches"), ("ffff", "There is no conversation"), ("../x", "There is no conversation")],
)
def test_an_ambiguous_or_unknown_conversation_id_is_reported(parley, given, sentence):
    result = parley("history", given)

    assert result.exit_code == 1
    assert result.stderr == f"{sentence} '{given}'. To list them: parley conversations\n"


FOUND = {"id": "0190a1b2-0000-7000-8000-0000deadbeef", "title": "Foxes"}


@pytest.fixture
def foxes(server, alice):
    server.on("GET /conversations", replies.reply(200, {"items": [FOUND], "next_cursor": None}))
    messages = [{"role": "user", "text": "What do foxes eat?"}, {"role": "assistant", "text": "Mice.", "model": "offline"}]
    server.on(f"GET /conversations/{FOUND['id']}/messages", replies.reply(200, {"items": messages, "next_cursor": None}))
    return server


def test_conversations_are_searched(server, alice, parley, utc):
    found = {"conversation_id": FOUND["id"], "title": "Foxes", "snippet": "<mark>mice</mark> &amp; hens", "said_at": "2026-11-01T10:00:00Z"}
    server.on("GET /conversations/search", replies.reply(200, {"items": [found], "mode": "hybrid"}))

    assert parley("conversations", "search", "mice").stdout == "deadbeef  2026-11-01 10:00  Foxes\nmice & hens\n"


def test_a_conversation_is_renamed_and_deleted(foxes, parley):
    foxes.on(f"PATCH /conversations/{FOUND['id']}", replies.reply(200, FOUND | {"title": "Animals"}))
    foxes.on(f"DELETE /conversations/{FOUND['id']}", replies.reply(204))

    assert parley("conversations", "rename", "deadbeef", "Animals").stdout == "'Foxes' (deadbeef) is now called 'Animals'\n"
    assert parley("conversations", "delete", "deadbeef", "--yes").stdout == "Deleted 'Foxes' (deadbeef)\n"


@pytest.mark.parametrize(("command", "is_pinned", "told"), [("pin", True, "Pinned"), ("unpin", False, "Unpinned")])
def test_a_conversation_is_pinned_and_unpinned(foxes, parley, command, is_pinned, told):
    foxes.on(f"PATCH /conversations/{FOUND['id']}", replies.reply(200, FOUND | {"is_pinned": is_pinned}))

    assert parley("conversations", command, "deadbeef").stdout == f"{told} 'Foxes' (deadbeef)\n"
    assert foxes.requests[-1].body == {"is_pinned": is_pinned}


def test_a_star_marks_pinned_conversations(server, alice, parley):
    pinned = {"id": FIRST, "title": "Sums", "is_pinned": True, "updated_at": "2026-03-01T14:02:33Z"}
    server.on("GET /conversations", replies.reply(200, {"items": [pinned], "next_cursor": None}))

    assert parley("conversations", "list", "--pinned").stdout.splitlines()[1] == "0000aaaa  2026-03-01 14:02  * Sums"
    assert "pinned=true" in server.requests[-1].path


def test_the_archive_is_listed_by_tag_with_the_tags(server, alice, parley):
    tagged = {"id": FIRST, "title": "Sums", "tags": ["work", "a\x1bb"], "updated_at": "2026-03-01T14:02:33Z"}
    server.on("GET /conversations", replies.reply(200, {"items": [tagged], "next_cursor": None}))

    lines = parley("conversations", "list", "--archived", "--tag", "work").stdout.splitlines()
    assert lines[1].startswith("0000aaaa  2026-03-01 14:02  Sums #work #a")
    assert "\x1b" not in lines[1]
    assert server.lines[0] == "GET /conversations?limit=20&archived=true&tag=work"


@pytest.mark.parametrize(
    ("command", "sent", "told"),
    [
        (["archive"], {"action": "archive"}, "Archived"),
        (["unarchive"], {"action": "unarchive"}, "Unarchived"),
        (["tag", "work"], {"action": "tag", "tag": "work"}, "Tagged 'work':"),
        (["untag", "work"], {"action": "untag", "tag": "work"}, "Removed the tag 'work':"),
    ],
)
def test_conversations_are_archived_and_tagged(foxes, parley, command, sent, told):
    foxes.on("POST /conversations/bulk", replies.reply(200, {"items": [{"id": FOUND["id"], "outcome": "done"}]}))

    assert parley("conversations", *command, "deadbeef").stdout == f"{told} 'Foxes' (deadbeef)\n"
    assert foxes.requests[-1].body == sent | {"ids": [FOUND["id"]]}


def test_a_conversation_that_could_not_be_changed_is_named(foxes, parley):
    foxes.on("POST /conversations/bulk", replies.reply(200, {"items": [{"id": FOUND["id"], "outcome": "too_many_tags"}]}))
    result = parley("conversations", "tag", "work", "deadbeef")

    assert (result.exit_code, result.stderr) == (1, "'Foxes' (deadbeef) has as many tags as are allowed.\n")


def test_an_archived_conversation_is_found_by_its_short_id(server, alice, parley):
    pages = {"items": [], "next_cursor": None}, {"items": [FOUND], "next_cursor": None}
    server.on("GET /conversations", *(replies.reply(200, page) for page in pages))
    server.on(f"GET /conversations/{FOUND['id']}/messages", replies.reply(200, EMPTY))

    assert parley("history", "deadbeef").exit_code == 0
    assert server.lines[1] == "GET /conversations?limit=100&archived=true"


def test_a_conversation_is_saved_as_markdown(foxes, parley, tmp_path):
    result = parley("conversations", "export", "deadbeef", "-o", str(tmp_path / "foxes.md"))

    assert result.exit_code == 0
    assert (tmp_path / "foxes.md").read_text() == "# Foxes\n\n## you\n\nWhat do foxes eat?\n\n## assistant · offline\n\nMice.\n"


def test_words_of_the_user_within_an_answer_are_shown_below_a_heading_of_their_own(foxes, parley):
    euros = {"type": "user_message", "id": "u", "text": "In euros"}
    looked, done = {"type": "text", "start": 0, "end": 6}, {"type": "text", "start": 6, "end": 11}
    answers = [
        {"role": "assistant", "text": "I lookDone.", "model": "offline", "status": "stopped", "parts": parts}
        for parts in ([looked, {"type": "tool_call"}, euros, done], [euros, {"type": "text", "text": "Here."}])
    ]
    foxes.on(f"GET /conversations/{FOUND['id']}/messages", replies.reply(200, {"items": answers, "next_cursor": None}))
    headings = ["assistant · offline · stopped", "you", "assistant · offline · stopped", "you", "assistant · offline · stopped"]
    texts = ["I look", "In euros", "Done.", "In euros", "Here."]
    said = [f"## {heading}\n\n{text}" for heading, text in zip(headings, texts, strict=True)]

    assert parley("conversations", "export", "deadbeef").stdout == "\n\n".join(["# Foxes", *said]) + "\n"
    assert [line for line in parley("history", "deadbeef").stdout.splitlines() if line in texts] == texts


def test_saving_does_not_overwrite_a_file(foxes, parley, tmp_path):
    (tmp_path / "foxes.md").write_text("mine")

    assert parley("conversations", "export", "deadbeef", "-o", str(tmp_path / "foxes.md")).exit_code == 1
    assert (tmp_path / "foxes.md").read_text() == "mine"


def test_history_is_printed_as_json(foxes, parley):
    assert [message["text"] for message in json.loads(parley("history", "--json").stdout)] == ["What do foxes eat?", "Mice."]


def test_the_last_question_of_a_conversation_is_answered_again(foxes, parley):
    foxes.on("POST /chat/regenerate", replies.answer("Voles."))

    assert parley("regenerate", "--model", "offline").stdout == "Voles.\n"
    assert foxes.requests[-1].body == {"conversation_id": FOUND["id"], "stream": True, "model": "offline"}


@pytest.mark.parametrize(
    ("options", "body"),
    [
        ([], {"audience": "signed_in"}),
        (["--public"], {"audience": "public"}),
        (["--group", "legal"], {"audience": "group", "group_id": "0190a1b2-0000-7000-8000-0000cafe0001"}),
    ],
)
@pytest.mark.usefixtures("alice")
def test_a_link_is_made_for_anyone_or_a_group_or_people_with_an_account(server, parley, options, body):
    group = {"id": "0190a1b2-0000-7000-8000-0000cafe0001", "name": "Legal"}
    server.on("GET /auth/groups", replies.reply(200, {"items": [group], "next_cursor": None}))
    link = {"token": "secret", "audience": body["audience"], "expires_at": "2026-12-01T10:00:00Z"}
    server.on(f"POST /conversations/{FIRST}/links", replies.reply(201, link))
    result = parley("links", "create", FIRST, *options)

    assert result.stdout.endswith("/#/shared/secret\n")
    assert server.requests[-1].body == body | {"expires_in_days": 30}


def test_a_link_for_anyone_and_a_group_is_a_usage_error(parley):
    assert parley("links", "create", FIRST, "--public", "--group", "legal").exit_code == 2
