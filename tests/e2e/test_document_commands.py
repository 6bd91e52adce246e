"""`parley documents` against the whole stack: add, search, and remove a file."""

import json

from tests.support.api_gateway import PASSWORD
from tests.support.document_files import pdf

LARGE_BYTES = 4_200_000


def test_a_file_is_added_found_and_deleted_from_the_terminal(stack, ada, tmp_path):
    path = tmp_path / "handbook.pdf"
    path.write_bytes(pdf([f"Everybody has thirty days of leave, says {ada.email}."]))
    stack.parley("login", ada.email, "--password-stdin", input=PASSWORD)
    added = stack.parley("documents", "add", str(path))
    (listed,) = json.loads(stack.parley("documents", "--json").stdout)
    found = stack.parley("documents", "search", "days of leave").stdout
    answer = stack.parley("chat", "--documents", "--model", "offline", "How many days of leave does everybody have?").stdout
    stack.parley("documents", "delete", listed["id"], "--yes")

    assert added.stdout.endswith("is ready: 1 chunk.\n"), added
    assert (listed["title"], listed["status"], listed["content_type"]) == ("handbook", "ready", "application/pdf")
    assert found.startswith("handbook, page 1")
    assert "\n[1] handbook, page 1: Everybody has thirty days of leave" in answer
    assert ada.get("/documents").json()["items"] == []


def test_a_large_file_goes_to_the_bucket_itself(stack, ada, tmp_path):
    path = tmp_path / "rules.html"
    path.write_text(f"<!doctype html><!--{'.' * LARGE_BYTES}--><p>The rules of {ada.email}.</p>")
    stack.parley("login", ada.email, "--password-stdin", input=PASSWORD)
    added = stack.parley("documents", "add", str(path))
    (document,) = ada.get("/documents").json()["items"]

    assert (added.returncode, document["status"], document["chunks"]) == (0, "ready", 1), added
    assert document["bytes"] == path.stat().st_size
