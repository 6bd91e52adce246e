"""A batch from SQS: every message for itself, and only those that failed come back.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchitemfailures
"""

from collections.abc import Callable, Iterable
from typing import Any

from parley.errors import NotFound
from parley.observability import logger
from parley.upkeep import Message
from parley.upkeep import parse as parse_message

type Failures = dict[str, list[dict[str, str]]]


def work_off(records: Iterable[dict[str, Any]], *, do: Callable[[Message], None]) -> Failures:
    """Do every message of the upkeep's kind and return the ids of those that failed, in the form that SQS's event source reads."""
    return work_off_bodies(records, do=lambda body: do(parse_message(body)))


def work_off_bodies(records: Iterable[dict[str, Any]], *, do: Callable[[str], None]) -> Failures:
    """Do the same for messages of any kind, which are handed over as they are."""
    failed = [record["messageId"] for record in records if not _is_done(record, do)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _is_done(record: dict[str, Any], do: Callable[[str], None]) -> bool:
    message_id = record["messageId"]
    try:
        do(record["body"])
    except NotFound as gone:
        logger.info("work came too late", message_id=message_id, reason=str(gone))
    except Exception:
        # Never with the body: it may hold an address.
        logger.exception("work failed", message_id=message_id)
        return False
    else:
        logger.info("work done", message_id=message_id)
    return True
