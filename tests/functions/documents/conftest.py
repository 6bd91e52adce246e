from typing import Any

import pytest

from tests.support.api_gateway import Function, Person
from tests.support.builders import upload_document


@pytest.fixture
def admin(auth: Function, postgres: Any) -> Person:
    """A user with the admin role, logged in after the role was granted."""
    person = Person.registered(auth)
    postgres.execute(f"UPDATE users SET role = 'admin' WHERE id = '{person.id}'", dbname="parley")
    return Person.signed_in(auth, person.email)


@pytest.fixture
def ready(documents, ingest):
    """Return a function that uploads a file, ingests it and returns the document's id."""

    def make(owner, content, *, filename="notes.txt"):
        document_id = upload_document(documents, owner, content, filename=filename).json["id"]
        assert ingest.read(owner, document_id) == []
        return document_id

    return make
