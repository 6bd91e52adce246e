"""The queue of documents that are to be read. S3 tells it of new files; whoever else uses it writes what S3 would."""

import json
import math
from collections.abc import Iterable
from functools import cache
from itertools import batched
from typing import Any
from uuid import UUID

from parley.errors import Unavailable

FOLDER = "documents"
# Of SQS.
_AT_ONCE = 10


def file_key(user_id: UUID, document_id: UUID) -> str:
    """Return where a document's file lies in the bucket."""
    return f"{FOLDER}/{user_id}/{document_id}"


class IngestQueue:
    """The SQS queue with this address."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, document_id: UUID, *, user_id: UUID, delay_s: float = 0) -> None:
        """Have a document taken up, after `delay_s`, 15 minutes at most. Raises Unavailable."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            _sqs().send_message(QueueUrl=self._url, MessageBody=_body(user_id, document_id), DelaySeconds=math.ceil(delay_s))
        except (BotoCoreError, ClientError) as exc:
            raise Unavailable("queue") from exc

    def send_all(self, found: Iterable[tuple[UUID, UUID]]) -> int:
        """Have many taken up, each named by its user and itself, and return how many. Raises Unavailable if one may be lost."""
        from botocore.exceptions import BotoCoreError, ClientError

        count = 0
        try:
            for batch in batched(found, _AT_ONCE, strict=False):
                entries = [{"Id": str(number), "MessageBody": _body(*ids)} for number, ids in enumerate(batch)]
                if _sqs().send_message_batch(QueueUrl=self._url, Entries=entries).get("Failed"):
                    raise Unavailable("queue")
                count += len(entries)
        except (BotoCoreError, ClientError) as exc:
            raise Unavailable("queue") from exc
        return count


def _body(user_id: UUID, document_id: UUID) -> str:
    return json.dumps({"Records": [{"s3": {"object": {"key": file_key(user_id, document_id)}}}]})


@cache
def _sqs() -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client("sqs", config=Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2}))
