"""An SQS queue, and SQS's errors translated to ours."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import batched
from typing import Any

from parley.errors import Unavailable

# Of SQS.
_MAX_BATCH = 10


class SqsQueue:
    """The queue with this address."""

    def __init__(self, url: str) -> None:
        self._url = url

    def put(self, body: str, *, delay_s: float = 0) -> None:
        """Put a message on the queue, to be seen after `delay_s`, 15 minutes at most. Raises Unavailable: nobody will ever see it then."""
        with _translated_errors():
            _sqs().send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=math.ceil(delay_s))

    def put_all(self, bodies: Iterable[str]) -> int:
        """Put many messages on the queue and return how many. Raises Unavailable if one may be lost; others may be seen then."""
        count = 0
        for batch in batched(bodies, _MAX_BATCH, strict=False):
            entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(batch)]
            with _translated_errors():
                done = _sqs().send_message_batch(QueueUrl=self._url, Entries=entries)
            if done.get("Failed"):  # in an answer of 200
                raise Unavailable("queue")
            count += len(entries)
        return count


@contextmanager
def _translated_errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as exc:
        raise Unavailable("queue") from exc


@cache
def _sqs() -> Any:
    import boto3  # 0.2 s that only who sends pays
    from botocore.config import Config

    return boto3.client("sqs", config=Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2}))
