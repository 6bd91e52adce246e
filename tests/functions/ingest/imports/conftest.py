import json
from typing import Any

import boto3
import pytest

from tests.support.api_gateway import Person


@pytest.fixture
def import_export(documents, ingest, environment):
    """Return a function that uploads an export, delivers S3's notification and returns the import as the API shows it."""

    def run(owner: Person, export: Any, **wanted: Any) -> Any:
        content = export if isinstance(export, bytes) else json.dumps(export).encode()
        import_id = documents.post("/conversations/imports", {"filename": "export.zip", "bytes": len(content)} | wanted, as_=owner).json[
            "id"
        ]
        key = f"imports/{owner.id}/{import_id}"
        boto3.client("s3").put_object(Bucket=environment["PARLEY_FILES_BUCKET"], Key=key, Body=content)
        assert ingest.deliver(json.dumps({"Records": [{"s3": {"object": {"key": key}}}]})) == []
        return documents.get(f"/conversations/imports/{import_id}", as_=owner).json

    return run


@pytest.fixture
def conversations_of(conversation):
    """Return a function that lists a person's conversations, each with its messages as (role, text)."""

    def read(owner: Person) -> dict[str, list[tuple[str, str]]]:
        found = {}
        for each in conversation.get("/conversations?limit=100", as_=owner).json["items"]:
            messages = conversation.get(f"/conversations/{each['id']}/messages?limit=100", as_=owner).json["items"]
            found[each["title"]] = [(message["role"], message["text"]) for message in messages]
        return found

    return read
