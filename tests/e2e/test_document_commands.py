"""`parley documents` against the whole stack: from a file to what is found in it, and to nothing again."""

import json

from tests.driving import PASSWORD
from tests.functions.ingest.files import pdf

LARGE_BYTES = 4_200_000


def test_a_file_is_added_found_and_deleted_from_the_terminal(stack, ada, tmp_path):
    path = tmp_path / "handbook.pdf"
    path.write_bytes(pdf([f"Everybody has thirty days of leave, says {ada.email}."]))
    stack.parley("login", ada.email, "--url", stack.url, input=f"{PASSWORD}\n")
    added = stack.parley("documents", "add", str(path))
    listed = json.loads(stack.parley("documents", "--json").stdout)
    found = stack.parley("documents", "search", "days of leave").stdout

    assert "'handbook'" in added.stdout.splitlines()[-1], added
    assert "is ready: 1 chunk." in added.stdout
    assert [(one["status"], one["chunks"]) for one in listed] == [("ready", 1)]
    assert found.startswith("handbook, page 1")
    assert "there already" in stack.parley("documents", "add", str(path)).stdout
    stack.parley("documents", "delete", listed[0]["id"], "--yes")
    assert stack.parley("documents").stdout.startswith("No documents yet.")


def test_a_large_file_goes_to_the_bucket_itself(stack, ada, tmp_path):
    path = tmp_path / "rules.txt"
    path.write_text(f"Rules of {ada.email}. ".ljust(100, "-").ljust(LARGE_BYTES, "\n"))
    stack.parley("login", ada.email, "--url", stack.url, input=f"{PASSWORD}\n")
    added = stack.parley("documents", "add", str(path))
    (document,) = ada.get("/documents").json()["items"]

    assert (added.returncode, document["bytes"], document["status"]) == (0, LARGE_BYTES, "ready"), added
    assert "is there already" in stack.parley("documents", "add", str(path)).stdout or len(ada.get("/documents").json()["items"]) == 1
