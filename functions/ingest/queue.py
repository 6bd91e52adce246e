"""The queue of documents that are to be read, for those that take longer than one invocation."""

import json
from functools import cache
from typing import Any

from functions.ingest.notices import Notice
from parley.errors import Unavailable


class IngestQueue:
    """The SQS queue with this address, on which S3's notifications come as well."""

    def __init__(self, url: str) -> None:
        self._url = url

    def go_on(self, notice: Notice) -> None:
        """Have a document taken up again. Raises Unavailable."""
        from botocore.exceptions import BotoCoreError, ClientError

        body = {"Records": [{"s3": {"object": {"key": notice.file_key}}}]}
        try:
            _sqs().send_message(QueueUrl=self._url, MessageBody=json.dumps(body))
        except (BotoCoreError, ClientError) as exc:
            raise Unavailable("queue") from exc


@cache
def _sqs() -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client("sqs", config=Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2}))
