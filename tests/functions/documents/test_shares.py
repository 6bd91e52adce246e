"""Documents shared with groups: who reads and finds them, and for how long."""

import pytest

from tests.functions.documents.test_documents import found
from tests.support.api_gateway import Person


@pytest.fixture
def group(auth, alice, bob):
    """A group of alice's that bob has joined."""
    group_id = auth.post("/auth/groups", {"name": "Research"}, as_=alice).json["id"]
    auth.call("PUT", f"/auth/groups/{group_id}/members", {"email": bob.email}, as_=alice)
    assert auth.post(f"/auth/groups/{group_id}/join", as_=bob).status == 200
    return group_id


@pytest.fixture
def share(documents):
    """Return a function that shares or, by `DELETE`, unshares a document."""

    def put(document_id, group_id, *, as_, method="PUT"):
        return documents.call(method, f"/documents/{document_id}/shares", {"group_id": group_id}, as_=as_)

    return put


@pytest.fixture
def shared(ready, group, share, alice):
    """A document of alice's, shared with the group."""
    document_id = ready(alice, "The zeppelin leaves at noon.")
    assert share(document_id, group, as_=alice).status == 204
    return document_id


def test_a_member_finds_reads_and_lists_a_shared_document_with_its_owner(documents, shared, alice, bob):
    assert found(documents, bob, "zeppelin") == ["The zeppelin leaves at noon."]
    assert found(documents, bob, f"zeppelin&document_id={shared}") == ["The zeppelin leaves at noon."]
    assert len(documents.get(f"/documents/{shared}/chunks", as_=bob).json["items"]) == 1
    listed = {item["id"]: item for item in documents.get("/documents", as_=bob).json["items"]}
    shown = documents.get(f"/documents/{shared}", as_=bob).json
    assert listed[shared] == shown
    assert (shown["is_own"], shown["shared"], shown["owner"]["email"]) == (False, False, alice.email)


def test_the_owner_sees_with_whom_a_document_is_shared(documents, shared, group, share, alice):
    share(shared, group, as_=alice)

    (item,) = documents.get(f"/documents/{shared}/shares", as_=alice).json["items"]
    assert (item["group_id"], item["name"]) == (group, "Research")
    assert documents.get(f"/documents/{shared}", as_=alice).json["owner"] is None


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_reader_can_neither_see_nor_change_the_shares(documents, shared, group, bob, method):
    body = None if method == "GET" else {"group_id": group}

    assert documents.call(method, f"/documents/{shared}/shares", body, as_=bob).status == 404


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_reader_can_neither_change_nor_delete_the_document(documents, shared, bob, method):
    assert documents.call(method, f"/documents/{shared}", {"title": "Mine"} if method == "PATCH" else None, as_=bob).status == 404


def test_a_stranger_does_not_find_it(documents, shared, auth):
    carol = Person.registered(auth)

    assert found(documents, carol, "zeppelin") == []
    assert documents.get(f"/documents/{shared}", as_=carol).status == 404
    assert documents.get(f"/documents/search?q=zeppelin&document_id={shared}", as_=carol).status == 404


def test_a_member_asks_about_it_by_its_id_and_a_stranger_cannot(auth, chat, shared, bob):
    question = {"message": "When does the zeppelin leave?", "documents": [shared]}
    events = chat.post("/chat", question, as_=bob).events

    assert [data["document_id"] for name, data in events if name == "source"] == [shared]
    assert chat.post("/chat", question, as_=Person.registered(auth)).status == 404


def test_a_removed_member_no_longer_finds_it(auth, documents, shared, group, alice, bob):
    assert auth.call("DELETE", f"/auth/groups/{group}/members", {"email": bob.email}, as_=alice).status == 204

    assert found(documents, bob, "zeppelin") == []
    assert documents.get(f"/documents/{shared}", as_=bob).status == 404


def test_an_unshared_document_is_no_longer_found(documents, shared, group, share, alice, bob):
    assert share(shared, group, as_=alice, method="DELETE").status == 204

    assert found(documents, bob, "zeppelin") == []
    assert found(documents, alice, "zeppelin") == ["The zeppelin leaves at noon."]


def test_a_chat_cites_a_document_of_the_group(chat, shared, bob):
    answer = chat.post("/chat", {"message": "When does the zeppelin leave?", "documents": True, "stream": False}, as_=bob)

    assert [source["document_id"] for source in answer.json["sources"]] == [shared]
