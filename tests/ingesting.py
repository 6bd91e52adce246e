"""Drives the ingest function as SQS does, and uploads files as browsers do."""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from tests.driving import Answer, Function, Person

BOUNDARY = "parley-test"
CONTEXT = SimpleNamespace(**vars(Function.CONTEXT) | {"get_remaining_time_in_millis": lambda: 300_000})


@dataclass(frozen=True)
class Ingest:
    """The ingest function's handler."""

    handler: Callable[[dict[str, Any], Any], Any]

    def deliver(self, *bodies: str) -> list[str]:
        """Hand over messages and return the numbers of those that failed."""
        records = [{"messageId": str(number), "body": body} for number, body in enumerate(bodies)]
        failed = self.handler({"Records": records}, CONTEXT)["batchItemFailures"]
        return [one["itemIdentifier"] for one in failed]

    def read(self, owner: Person, document_id: str) -> list[str]:
        """Have a document read, as when S3 has told of its file."""
        return self.deliver(notification(owner, document_id))


def notification(owner: Person, document_id: str) -> str:
    """What S3 tells of a document's file."""
    return json.dumps({"Records": [{"s3": {"object": {"key": f"documents/{owner.id}/{document_id}"}}}]})


def upload(
    documents: Function, owner: Person, content: bytes | str | None = None, *, filename: str = "notes.txt", title: str | None = None
) -> Answer:
    """Upload a file by the form of a browser; its bytes are its own unless they are given."""
    content = content if content is not None else f"A note of {owner.email}, {secrets.token_hex(4)}."
    raw = content.encode() if isinstance(content, str) else content
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\nContent-Type: text/plain\r\n\r\n'
    if title is not None:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="title"\r\n\r\n{title}\r\n{head}'
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    body = head.encode() + raw + f"\r\n--{BOUNDARY}--\r\n".encode()
    return documents.post("/documents", body, as_=owner, headers=headers)
