"""A batch from SQS: every message for itself, and only those that failed come back.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchitemfailures
"""

from collections.abc import Callable, Iterable
from typing import Any

from parley.errors import NotFound
from parley.observability import logger
from parley.upkeep import Message, parse


def work_off(records: Iterable[dict[str, Any]], *, do: Callable[[Message], None]) -> dict[str, list[dict[str, str]]]:
    """Do every message and return the ids of those that failed, in the form that SQS's event source reads."""
    failed = [record["messageId"] for record in records if not _is_done(record, do)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _is_done(record: dict[str, Any], do: Callable[[Message], None]) -> bool:
    message_id = record["messageId"]
    try:
        message = parse(record["body"])
        do(message)
    except NotFound as gone:
        logger.info("work came too late", message_id=message_id, reason=str(gone))
    except Exception:
        # Never with the body: it may hold an address.
        logger.exception("work failed", message_id=message_id)
        return False
    else:
        logger.info("work done", message_id=message_id, message_type=message.type)
    return True
