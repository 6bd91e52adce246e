"""`parley documents add`: upload files and follow their ingestion."""

import pytest

from cli import document_api
from cli.commands import documents_add
from tests.cli import replies
from tests.cli.document_replies import DOCUMENT_ID, FAILED, HALF, OTHER_ID, QUEUED, READY

ONE = f"GET /documents/{DOCUMENT_ID}"


@pytest.fixture
def handbook(server, alice, monkeypatch, tmp_path):
    """A file whose document is ready at the third poll."""
    monkeypatch.setattr(documents_add, "POLL_S", 0.0)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "handbook.pdf").write_bytes(b"%PDF-1.7 thirty days")
    server.on("POST /documents", replies.reply(202, QUEUED))
    server.on(ONE, replies.reply(200, HALF), replies.reply(200, READY))
    return tmp_path / "handbook.pdf"


@pytest.fixture
def large(server, handbook, monkeypatch):
    """The same file, too large for a direct upload."""
    monkeypatch.setattr(document_api, "DIRECT_UPLOAD_BYTES", 10)
    fields = {"Content-Type": "application/pdf", "key": f"documents/{DOCUMENT_ID}", "policy": "e30="}
    server.on("POST /documents/uploads", replies.reply(201, {"id": DOCUMENT_ID, "upload_url": f"{server.url}/bucket", "fields": fields}))
    server.on("POST /bucket", replies.reply(204))
    server.on(f"DELETE /documents/{DOCUMENT_ID}", replies.reply(204))
    return handbook


def test_a_file_is_sent_and_followed_until_it_is_ready(server, handbook, parley):
    result = parley("documents", "add", "handbook.pdf", "--title", "Leave")

    assert server.requests[0].body == {"title": "Leave", "file": ("handbook.pdf", "application/pdf", b"%PDF-1.7 thirty days")}
    assert result.stderr == "Handbook: queued\nHandbook: processing 50%\n"
    assert result.stdout == "handbook.pdf: added as 'Handbook' (0000aaaa)\n'Handbook' (0000aaaa) is ready: 12 chunks.\n"


def test_a_terminal_shows_a_progress_bar(handbook, terminal):
    person = terminal("documents", "add", str(handbook))
    person.expect("handbook.pdf: sending [####################] 100%")
    person.expect("Handbook: processing [##########..........]  50%")

    assert person.end() == 0


def test_no_wait_returns_after_the_upload(server, handbook, parley):
    assert parley("documents", "add", "handbook.pdf", "--no-wait").exit_code == 0
    assert server.lines == ["POST /documents"]


def test_a_larger_file_is_sent_with_the_presigned_form(server, large, parley):
    result = parley("documents", "add", "handbook.pdf", "--title", "Leave")
    announced, sent = server.requests[:2]

    assert result.exit_code == 0
    assert announced.body == {"filename": "handbook.pdf", "content_type": "application/pdf", "bytes": 20, "title": "Leave"}
    assert (sent.token, list(sent.body)) == ("", ["Content-Type", "key", "policy", "file"])
    assert sent.body["file"][2] == b"%PDF-1.7 thirty days"


def test_a_file_that_does_not_arrive_is_deleted_again(server, large, parley):
    server.on("POST /bucket", replies.reply(403, "<Error/>", media_type="application/xml"))

    result = parley("documents", "add", "handbook.pdf")

    assert (result.exit_code, server.lines[-1]) == (1, f"DELETE /documents/{DOCUMENT_ID}")
    assert result.stderr == f"The file could not be sent to {server.url} (status 403). Try again.\n"


def test_a_file_with_known_bytes_already_exists(server, handbook, parley):
    server.on("POST /documents", replies.reply(202, READY))

    assert parley("documents", "add", "handbook.pdf").stdout == "handbook.pdf: already exists as 'Handbook' (0000aaaa)\n"
    assert server.lines == ["POST /documents"]


def test_a_larger_duplicate_leaves_no_second_document(server, large, parley):
    twice = FAILED | {"error_code": "duplicate", "error": "The same file: already exists as 'Leave'."}
    server.on(ONE, replies.reply(200, HALF), replies.reply(200, twice))

    result = parley("documents", "add", "handbook.pdf")

    assert (result.exit_code, server.lines[-1]) == (0, f"DELETE /documents/{DOCUMENT_ID}")
    assert result.stdout.endswith("handbook.pdf: The same file: already exists as 'Leave'.\n")


def test_a_file_that_cannot_be_read_says_why(server, handbook, parley):
    server.on(ONE, replies.reply(200, FAILED))

    result = parley("documents", "add", "handbook.pdf")

    assert result.exit_code == 1
    assert result.stderr.endswith("'Handbook' (0000aaaa) cannot be read. The pages are pictures without text.\n")


def test_a_failed_file_does_not_prevent_the_next_one(server, handbook, parley):
    (handbook.parent / "rules.txt").write_text("Rules.")
    refused = replies.problem(409, "too_many_documents", "You have as many documents as an account may have.")
    server.on("POST /documents", refused, replies.reply(202, QUEUED))

    result = parley("documents", "add", "handbook.pdf", "rules.txt")

    assert (result.exit_code, result.stdout.splitlines()[-1]) == (1, "'Handbook' (0000aaaa) is ready: 12 chunks.")
    assert result.stderr.splitlines()[-1] == "1 of 2 files were not added."


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["empty.txt"], "empty.txt is empty: add a file with content."),
        (["missing.txt"], "'missing.txt' does not exist."),
        (["handbook.pdf", "empty.txt"], "empty.txt is empty: add a file with content."),
        (["handbook.pdf", "handbook.pdf", "--title", "x"], "--title needs exactly one file."),
    ],
)
def test_invalid_files_are_refused_before_anything_is_sent(server, handbook, parley, args, sentence):
    (handbook.parent / "empty.txt").touch()
    result = parley("documents", "add", *args)

    assert (result.exit_code, sentence in result.stderr, server.requests) == (2, True, [])


def test_a_file_that_is_too_large_shows_the_servers_message(server, large, parley):
    server.on("POST /documents/uploads", replies.problem(413, "file_too_large", "A document has 100 MB at most."))

    result = parley("documents", "add", "handbook.pdf")

    assert (result.exit_code, result.stderr.splitlines()[0]) == (1, "A document has 100 MB at most.")


def test_an_admin_can_share_added_documents(server, handbook, parley):
    server.on(f"PATCH /documents/{DOCUMENT_ID}", replies.reply(200, QUEUED | {"shared": True}))

    assert parley("documents", "add", "handbook.pdf", "--share").exit_code == 0
    assert server.requests[1].body == {"shared": True}


def test_a_documents_note_is_shown(server, handbook, parley):
    server.on(ONE, replies.reply(200, READY | {"id": OTHER_ID, "note": "It is found by its words only."}))

    assert parley("documents", "add", "handbook.pdf").stdout.endswith("is ready: 12 chunks. It is found by its words only.\n")


def test_a_document_without_progress_is_reported_as_queued(server, handbook, parley, monkeypatch):
    monkeypatch.setattr(documents_add, "INGESTION_TIMEOUT_S", 0.0)
    server.on(ONE, replies.reply(200, QUEUED))

    result = parley("documents", "add", "handbook.pdf")

    assert result.exit_code == 1
    assert result.stderr.endswith("is still queued on the server. To see its progress: parley documents\n")


def test_ctrl_c_ends_the_waiting_but_not_the_processing(server, handbook, terminal):
    server.on(ONE, replies.reply(200, HALF))
    person = terminal("documents", "add", str(handbook))
    person.expect("Handbook: processing")
    person.interrupt()

    assert person.end() == 130
    assert "Processing continues on the server. To see its progress: parley documents" in person.shown
    assert all(not line.startswith("DELETE") for line in server.lines)


def test_a_file_name_cannot_break_out_of_the_form(server, handbook, parley):
    odd = handbook.rename(handbook.parent / 'a"; name="title\r\nX: y.txt')

    assert parley("documents", "add", str(odd), "--no-wait").exit_code == 0
    assert server.requests[0].body.keys() == {"file"}
    assert server.requests[0].body["file"][0] == "a%22; name=%22title%0D%0AX: y.txt"


def test_after_a_token_refresh_the_whole_file_is_sent_again(server, handbook, parley):
    server.on("POST /documents", replies.problem(401, "invalid_token", "Token."), replies.reply(202, QUEUED))
    server.on("POST /auth/refresh", replies.reply(200, replies.token_pair(2)))
    parley("documents", "add", "handbook.pdf", "--no-wait")

    assert [request.body["file"][2] for request in server.requests[::2]] == [b"%PDF-1.7 thirty days"] * 2


@pytest.fixture
def folder(handbook):
    folder = handbook.parent / "library"
    (folder / "deep").mkdir(parents=True)
    (folder / ".git").mkdir()
    for name, content in (("a.md", b"A"), ("deep/b.txt", b"B"), ("empty.md", b""), ("photo.raw", b"\0\1"), (".git/config", b"x")):
        (folder / name).write_bytes(content)
    return folder


def test_a_folder_is_added_with_all_its_files_and_tells_what_it_skipped(server, folder, parley):
    result = parley("documents", "add", "library", "--no-wait")

    assert [request.body["file"][0] for request in server.requests] == ["a.md", "b.txt"]
    assert result.stderr.splitlines()[-2:] == [
        "skipped library/empty.md: is empty: add a file with content",
        "skipped library/photo.raw: is neither text nor PDF nor DOCX",
    ]


def test_a_pattern_selects_files_of_a_folder(server, folder, parley):
    parley("documents", "add", "library", "--glob", "*.txt", "--no-wait")

    assert [request.body["file"][0] for request in server.requests] == ["b.txt"]


def test_a_folder_without_a_document_is_an_error_with_the_reasons(server, folder, parley):
    result = parley("documents", "add", "library", "--glob", "*.raw")

    assert (result.exit_code, server.requests) == (2, [])
    assert "library/photo.raw: is neither text nor PDF nor DOCX" in result.stderr


def test_standard_input_is_added_under_the_title(server, handbook, parley):
    parley("documents", "add", "-", "--title", "Notes of May", "--no-wait", stdin="We met.")

    assert server.requests[0].body == {"title": "Notes of May", "file": ("stdin.txt", "text/plain", b"We met.")}


def test_a_failure_names_its_file(server, folder, parley):
    server.on("POST /documents", replies.problem(413, "file_too_large", "The file is too large."))

    result = parley("documents", "add", "library")

    assert "a.md: The file is too large." in result.stderr
