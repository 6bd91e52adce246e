"""`Idempotency-Key` on uploads: a repeat gets the first response, another file is refused, and a failed upload can be repeated."""

from dataclasses import replace

import pytest

from parley.errors import Unavailable
from tests.support.builders import upload_document

FORM = {"filename": "big.txt", "content_type": "text/plain", "bytes": 5_000_000}


def announce(documents, person, *, key="k1", **fields):
    return documents.post("/documents/uploads", FORM | fields, as_=person, headers={"Idempotency-Key": key})


def ids(documents, person):
    return [document["id"] for document in documents.get("/documents", as_=person).json["items"]]


def test_a_repeated_upload_returns_the_first_response(documents, ingest, alice):
    first = upload_document(documents, alice, "some text", idempotency_key="k1")
    assert ingest.read(alice, first.json["id"]) == []
    again = upload_document(documents, alice, "some text", idempotency_key="k1")

    assert (first.status, again.status, again.json) == (202, 202, first.json)


@pytest.mark.parametrize("change", [{"content": "other text"}, {"filename": "other.txt"}, {"title": "Other"}])
def test_an_idempotency_key_fits_one_upload(documents, alice, change):
    upload = {"content": "some text", "filename": "notes.txt", "title": "Notes"}
    first = upload_document(documents, alice, **upload, idempotency_key="k1").json["id"]
    again = upload_document(documents, alice, **upload | change, idempotency_key="k1")

    assert (again.status, again.json["code"], ids(documents, alice)) == (422, "idempotency_key_reused", [first])


def test_a_repeated_announcement_returns_the_first_form(documents, alice):
    first, again = announce(documents, alice), announce(documents, alice)

    assert (first.status, again.status, again.json) == (201, 201, first.json)
    assert ids(documents, alice) == [first.json["id"]]
    assert announce(documents, alice, bytes=1).json["code"] == "idempotency_key_reused"


def test_a_failed_upload_can_be_repeated_with_its_key(documents, alice, monkeypatch):
    from functions.documents.app import app, services

    class Broken:
        def put(self, *content, **options):
            raise Unavailable("file store")

    with monkeypatch.context() as patched:
        patched.setitem(app._app.state._state, "services", replace(services, files=Broken()))
        assert upload_document(documents, alice, "some text", idempotency_key="k1").status == 503

    assert upload_document(documents, alice, "some text", idempotency_key="k1").status == 202


def test_keys_of_different_users_are_independent(documents, alice, bob):
    answers = [upload_document(documents, person, f"text of {person.email}", idempotency_key="k1") for person in (alice, bob)]

    assert [answer.status for answer in answers] == [202, 202]
