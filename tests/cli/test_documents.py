"""`parley documents`: list, show, search, change and delete documents."""

import json

import pytest

from tests.cli import replies
from tests.cli.document_replies import DOCUMENT_ID, FAILED, HALF, OTHER_ID, READY, documents_page

pytestmark = pytest.mark.usefixtures("utc", "alice")
SHARED = READY | {"id": OTHER_ID, "title": "Rules", "shared": True, "is_own": False, "bytes": 900}
PIECE = {
    "document_id": DOCUMENT_ID,
    "title": "Handbook",
    "chunk_id": OTHER_ID,
    "heading": "Handbook > Leave",
    "text": "30\x1b[31m days.",
    "page": 3,
}


def test_documents_are_listed_with_their_progress(server, parley):
    server.on("GET /documents", documents_page(HALF, SHARED))

    assert parley("documents").stdout.splitlines() == [
        "id        title     status          size    chunks  added             visible to",
        "0000aaaa  Handbook  processing 50%  1.2 MB  0       2026-11-01 14:02",
        "1111bbbb  Rules     ready           900 B   12      2026-11-01 14:02  all users (not yours)",
    ]


def test_without_documents_it_says_how_to_add_one(server, parley):
    server.on("GET /documents", documents_page())

    assert parley("documents").stdout == "No documents yet. Add one: parley documents add handbook.pdf\n"


def test_documents_can_be_printed_as_json(server, parley):
    server.on("GET /documents", documents_page(READY))

    assert json.loads(parley("documents", "--json").stdout) == [READY]


def test_a_failed_document_is_shown_with_its_error(server, parley):
    server.on("GET /documents", documents_page(FAILED))

    lines = parley("documents", "show", "0000aaaa").stdout.splitlines()

    assert lines[2:5] == [
        "file        handbook.pdf (application/pdf, 1.2 MB)",
        "status      failed",
        "error       The pages are pictures without text. (scanned)",
    ]


def test_a_full_id_is_fetched_without_the_list(server, parley):
    server.on(f"GET /documents/{DOCUMENT_ID}", replies.reply(200, READY))

    assert json.loads(parley("documents", "show", DOCUMENT_ID, "--json").stdout) == READY


def test_the_chunks_of_a_document_are_shown_in_order(server, parley):
    server.on(f"GET /documents/{DOCUMENT_ID}", replies.reply(200, READY))
    chunk = {"chunk_id": OTHER_ID, "number": 1, "heading": "Leave", "text": "30 days.\n", "page": 3, "start": 0}
    server.on(f"GET /documents/{DOCUMENT_ID}/chunks", documents_page(chunk, chunk | {"number": 2, "text": "At most.", "page": None}))

    assert parley("documents", "show", DOCUMENT_ID, "--chunks").stdout == "1 · Leave, page 3\n30 days.\n\n2 · Leave\nAt most.\n\n"


def test_a_search_shows_the_location_of_each_passage(server, parley):
    server.on("GET /documents/search", replies.reply(200, {"items": [PIECE], "mode": "hybrid"}))

    assert parley("documents", "search", "days", "of", "leave").stdout == "Handbook, page 3 (0000aaaa) · Handbook > Leave\n  30 days.\n"
    assert server.lines == ["GET /documents/search?q=days+of+leave&limit=5"]


def test_a_search_can_be_limited_to_some_documents(server, parley):
    server.on("GET /documents", documents_page(READY))
    server.on("GET /documents/search", replies.reply(200, {"items": [], "mode": "hybrid"}))

    assert parley("documents", "search", "leave", "--in", "0000aaaa", "--in", OTHER_ID).stdout.startswith("No passages found.")
    assert server.lines[-1] == f"GET /documents/search?q=leave&limit=5&document_id={DOCUMENT_ID}&document_id={OTHER_ID}"


@pytest.mark.parametrize(
    ("args", "sent", "expected"),
    [
        (["rename", DOCUMENT_ID, "Rules"], {"title": "Rules"}, "'Handbook' (0000aaaa) is now called 'Rules'"),
        (["share", DOCUMENT_ID], {"shared": True}, "'Handbook' (0000aaaa) is shared with all users"),
        (["unshare", DOCUMENT_ID], {"shared": False}, "'Handbook' (0000aaaa) is private"),
    ],
)
def test_a_document_is_changed(server, parley, args, sent, expected):
    server.on(f"GET /documents/{DOCUMENT_ID}", replies.reply(200, READY))
    server.on(f"PATCH /documents/{DOCUMENT_ID}", replies.reply(200, READY | sent))

    assert parley("documents", *args).stdout == f"{expected}\n"
    assert server.requests[-1].body == sent


def test_sharing_is_refused_for_users_who_are_not_admins(server, parley):
    server.on("GET /documents", documents_page(READY))
    server.on(f"PATCH /documents/{DOCUMENT_ID}", replies.problem(403, "forbidden", "Your account may not do this."))

    result = parley("documents", "share", "0000aaaa")

    assert result.exit_code == 1
    assert result.stderr.startswith("Only admins can share documents with all users; 'Handbook' (0000aaaa) is unchanged.\n")


def test_documents_are_deleted_after_confirmation(server, parley):
    server.on("GET /documents", documents_page(READY, SHARED))
    server.on(f"DELETE /documents/{DOCUMENT_ID}", replies.reply(204))
    server.on(f"DELETE /documents/{OTHER_ID}", replies.reply(204))

    result = parley("documents", "delete", "0000aaaa", "1111bbbb", stdin="y\n")

    assert "Delete 'Handbook' (0000aaaa), 'Rules' (1111bbbb)?" in result.stderr
    assert result.stdout.splitlines()[-2:] == ["Deleted 'Handbook' (0000aaaa)", "Deleted 'Rules' (1111bbbb)"]


def test_without_confirmation_nothing_is_deleted(server, parley):
    server.on("GET /documents", documents_page(READY))

    assert parley("documents", "delete", "0000aaaa", stdin="n\n").exit_code != 0
    assert server.lines == ["GET /documents?limit=100"]


def test_an_unknown_document_is_reported(server, parley):
    server.on("GET /documents", documents_page(READY))

    result = parley("documents", "show", "ffff")

    assert (result.exit_code, result.stderr) == (1, "There is no document 'ffff'. To list them: parley documents\n")
