"""Hostile strings as titles, file names and queries are returned unchanged or refused; none causes a server error."""

import json
from urllib.parse import quote

import pytest

from tests.conftest import ROOT
from tests.support.api_gateway import Person
from tests.support.builders import upload_document

NAUGHTY = json.loads((ROOT / "tests" / "data" / "naughty-strings" / "blns.json").read_text())


def test_every_name_and_title_is_returned_unchanged_or_refused(documents, postgres, alice):
    sent = {}
    for name in NAUGHTY:
        body = {"filename": name, "title": name, "content_type": "text/plain", "bytes": 1}
        answer = documents.post("/documents/uploads", body, as_=alice)
        assert answer.status in (201, 422), name
        if answer.status == 201:
            sent[answer.json["id"]] = name
    stored = postgres.execute(f"SELECT id::text, title, filename FROM documents WHERE user_id = '{alice.id}'")

    assert len(sent) > 500
    assert all(title == sent[id].strip() or not sent[id].strip() for id, title, _ in stored)
    assert all((filename and filename in sent[id]) or filename == "file" for id, _, filename in stored)


@pytest.mark.parametrize("title", ["a\0b", "\0", " ", "\u202e", "'; DROP TABLE documents; --"])
def test_a_forms_title_is_stored_or_refused(documents, alice, title):
    answer = upload_document(documents, alice, title=title)

    assert answer.status == 422 or (answer.status == 202 and answer.json["title"] and "\0" not in answer.json["title"])


@pytest.fixture(scope="module")
def carol(auth):
    return Person.registered(auth)


@pytest.mark.parametrize("query", ["\0", "a\0b", *NAUGHTY[1::50]])
def test_every_query_is_answered_or_refused(documents, carol, query):
    assert documents.get(f"/documents/search?q={quote(query)}", as_=carol).status in (200, 422)
