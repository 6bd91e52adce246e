"""Documents, from upload to search."""

from uuid import uuid4

import boto3
import pytest

from tests.support import document_files
from tests.support.builders import upload_document
from tests.support.queues import s3_notification

HANDBOOK = "# Leave\n\nEverybody has thirty days of leave a year.\n\n# Travel\n\nTrains are paid for in second class.\n"


def found(documents, person, query, **options):
    answer = documents.get(f"/documents/search?q={query}", as_=person, **options)
    assert answer.status == 200, answer.body
    return [item["text"] for item in answer.json["items"]]


def test_an_uploaded_file_is_queued(documents, alice):
    answer = upload_document(documents, alice, "Hello", filename="C:\\docs\\My notes.txt")

    assert answer.status == 202
    assert {name: answer.json[name] for name in ("title", "filename", "status", "progress", "bytes", "shared", "is_own")} == {
        "title": "My notes",
        "filename": "My notes.txt",
        "status": "queued",
        "progress": 0,
        "bytes": 5,
        "shared": False,
        "is_own": True,
    }


def test_an_ingested_document_is_ready_and_found(documents, ready, alice):
    document_id = ready(alice, HANDBOOK, filename="handbook.md")

    shown = documents.get(f"/documents/{document_id}", as_=alice).json
    assert (shown["status"], shown["progress"], shown["chunks"]) == ("ready", 1, 2)
    assert found(documents, alice, "how many days of leave")[0] == "Everybody has thirty days of leave a year."


@pytest.mark.parametrize("status", ["queued", "processing", "failed"])
def test_a_document_that_is_not_ready_is_not_found(documents, ready, postgres, alice, status):
    document_id = ready(alice, HANDBOOK, filename="handbook.md")
    postgres.execute(f"UPDATE documents SET status = '{status}' WHERE id = '{document_id}'")

    assert found(documents, alice, "how many days of leave") == []


def test_chunks_are_listed_with_their_heading_paths(documents, ready, alice):
    document_id = ready(alice, HANDBOOK, filename="handbook.md")

    items = documents.get(f"/documents/{document_id}/chunks", as_=alice).json["items"]
    assert [(item["number"], item["heading"]) for item in items] == [(0, "handbook > Leave"), (1, "handbook > Travel")]


def test_no_document_is_on_two_pages(documents, alice):
    uploaded = [upload_document(documents, alice).json["id"] for _ in range(3)]
    shown, cursor = [], ""
    while cursor is not None:
        page = documents.get(f"/documents?limit=1{cursor and '&cursor=' + cursor}", as_=alice).json
        shown, cursor = [*shown, *(item["id"] for item in page["items"])], page["next_cursor"]
        assert len(shown) <= 3

    assert shown == uploaded[::-1]


def test_a_result_from_a_pdf_names_its_page(documents, ready, alice):
    ready(alice, document_files.pdf(["First page.", "Second page.", "The password is swordfish."]), filename="long.pdf")

    (item,) = [one for one in documents.get("/documents/search?q=swordfish", as_=alice).json["items"] if "swordfish" in one["text"]]
    assert item["page"] == 3


def test_the_same_bytes_again_are_the_same_document(documents, alice):
    first, second = (upload_document(documents, alice, "the same", filename=name).json["id"] for name in ("a.txt", "b.txt"))

    assert first == second


def test_the_same_bytes_of_another_user_are_another_document(documents, alice, bob):
    assert upload_document(documents, alice, "shared bytes").json["id"] != upload_document(documents, bob, "shared bytes").json["id"]


def test_a_file_that_cannot_be_read_fails_with_the_reason(documents, ready, alice):
    shown = documents.get(f"/documents/{ready(alice, document_files.pdf(['', '']), filename='scan.pdf')}", as_=alice).json

    assert (shown["status"], shown["error_code"]) == ("failed", "scanned")
    assert "OCR" in shown["error"]


def test_a_failed_file_can_be_uploaded_again(documents, ready, alice):
    broken = b"PK\x03\x04 word/document.xml"
    failed = ready(alice, broken)

    assert upload_document(documents, alice, broken).json["id"] != failed


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\x00\x00", b"PK\x03\x04 xl/workbook.xml", b"\x7fELF\x02\x00"])
def test_content_that_is_clearly_not_a_document_is_refused_whatever_its_name(documents, alice, content):
    answer = upload_document(documents, alice, content, filename="report.pdf")

    assert (answer.status, answer.json["code"]) == (415, "unsupported_format")
    assert [one for one in documents.get("/documents", as_=alice).json["items"] if one["is_own"]] == []


def test_an_empty_file_is_refused(documents, alice):
    assert upload_document(documents, alice, "").json["code"] == "invalid_input"


def test_another_users_document_is_never_found_listed_or_read(documents, ready, alice, bob):
    document_id = ready(alice, "The code of the safe is 4711.")

    assert documents.get("/documents", as_=bob).json["items"] == []
    assert "The code of the safe is 4711." not in found(documents, bob, "code of the safe")
    assert {documents.get(f"/documents/{document_id}{part}", as_=bob).status for part in ("", "/chunks")} == {404}
    assert documents.delete(f"/documents/{document_id}", as_=bob).status == 404


def test_a_shared_document_is_found_by_every_user(documents, ready, admin, bob):
    document_id = ready(admin, "The canteen opens at seven.")
    documents.patch(f"/documents/{document_id}", {"shared": True}, as_=admin)

    assert "The canteen opens at seven." in found(documents, bob, "canteen opens")
    assert [item["is_own"] for item in documents.get("/documents", as_=bob).json["items"] if item["id"] == document_id] == [False]
    documents.delete(f"/documents/{document_id}", as_=admin)  # later tests would find it


def test_only_the_owner_can_delete_or_unshare_a_shared_document(documents, ready, admin, bob):
    document_id = ready(admin, "The garage closes at nine.")
    documents.patch(f"/documents/{document_id}", {"shared": True}, as_=admin)
    refused = documents.delete(f"/documents/{document_id}", as_=bob).status
    documents.patch(f"/documents/{document_id}", {"shared": False}, as_=admin)

    assert refused == 404
    assert "The garage closes at nine." not in found(documents, bob, "garage closes")


def test_only_admins_share(documents, ready, alice):
    assert documents.patch(f"/documents/{ready(alice, None)}", {"shared": True}, as_=alice).status == 403


def test_a_deleted_document_leaves_no_row_and_no_file(documents, ready, upkeep, environment, alice):
    document_id = ready(alice, "Gone soon.")
    documents.delete(f"/documents/{document_id}", as_=alice)
    upkeep.drain(environment["PARLEY_UPKEEP_QUEUE_URL"])

    assert "Gone soon." not in found(documents, alice, "gone soon")
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket=environment["PARLEY_FILES_BUCKET"], Prefix=f"documents/{alice.id}")


def test_search_can_be_limited_to_some_documents(documents, ready, alice):
    _, second = (ready(alice, f"{word} is a word about fish.") for word in ("Salmon", "Trout"))

    assert found(documents, alice, f"fish&document_id={second}") == ["Trout is a word about fish."]


def test_a_larger_file_is_uploaded_by_a_form_for_its_exact_size(documents, alice):
    body = {"filename": "big.pdf", "content_type": "application/pdf", "bytes": 5_000_000}
    answer = documents.post("/documents/uploads", body, as_=alice)

    assert answer.status == 201
    assert answer.json["fields"]["key"] == f"documents/{alice.id}/{answer.json['id']}"


def test_a_file_that_is_too_large_is_refused_before_the_upload(documents, alice):
    body = {"filename": "huge.pdf", "content_type": "application/pdf", "bytes": 20_000_001}

    assert documents.post("/documents/uploads", body, as_=alice).json["code"] == "file_too_large"


@pytest.mark.parametrize("body", ["{}", "[]", "not JSON", '{"Records": [{"s3": {"object": {"key": "exports/a/b"}}}]}'])
def test_a_message_without_a_known_document_fails(ingest, body):
    assert ingest.deliver(body) == ["0"]


def test_a_file_without_a_document_is_deleted(ingest, environment, alice):
    key, document_id = f"documents/{alice.id}/", str(uuid4())
    boto3.client("s3").put_object(Bucket=environment["PARLEY_FILES_BUCKET"], Key=key + document_id, Body=b"late")

    assert ingest.deliver(s3_notification(alice, document_id)) == []
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket=environment["PARLEY_FILES_BUCKET"], Prefix=key)


def test_a_user_has_at_most_ten_thousand_documents(documents, postgres, alice, bob):
    postgres.execute(
        f"""INSERT INTO documents (user_id, id, title, filename, content_type, bytes)
            SELECT '{alice.id}', gen_random_uuid(), 'a', 'a.txt', 'text/plain', 1 FROM generate_series(1, 10000)"""
    )
    form = {"filename": "b.txt", "content_type": "text/plain", "bytes": 1}
    refused = [upload_document(documents, alice, "one more"), documents.post("/documents/uploads", form, as_=alice)]
    postgres.execute(f"DELETE FROM documents WHERE user_id = '{alice.id}'")

    assert [(answer.status, answer.json["code"]) for answer in refused] == [(409, "too_many_documents")] * 2
    assert upload_document(documents, bob, "one more").status == 202
