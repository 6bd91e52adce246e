"""A batch of queue messages, as Lambda gives it to a function, and what the function's answer says of it.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html and …/services-sqs-errorhandling.html
"""

import json
from typing import Any

from local.runtime.outcome import Answer, Failure, Outcome
from local.template.pseudo import REGION, queue_arn
from local.template.stack import EventSource

# A message as ReceiveMessage answers it.
type Message = dict[str, Any]


def event(source: EventSource, messages: list[Message]) -> bytes:
    """Return what the function gets."""
    return json.dumps({"Records": [_record(source, message) for message in messages]}).encode()


def failed_ids(source: EventSource, messages: list[Message], outcome: Outcome) -> set[str]:
    """Return the ids of the messages that come again: none, those that the function names, or all."""
    everything = {message["MessageId"] for message in messages}
    if not isinstance(outcome, Answer):
        return everything
    if not source.reports_failures:
        return set()
    named = _named(outcome.payload)
    return everything if named is None or named - everything else named


def trouble(outcome: Outcome) -> str | None:
    """Return why a whole batch failed, or None if the function answered."""
    return f"{outcome.error_type}: {outcome.message}" if isinstance(outcome, Failure) else None


def _named(payload: bytes) -> set[str] | None:
    """Return the ids that a partial batch response names; None for what is not one."""
    try:
        answer = json.loads(payload)
        failures = (answer or {}).get("batchItemFailures") or []
        ids = {failure["itemIdentifier"] for failure in failures}
    except (ValueError, AttributeError, TypeError, KeyError):
        return None
    return ids if all(isinstance(one, str) and one for one in ids) else None


def _record(source: EventSource, message: Message) -> dict[str, Any]:
    attributes = message.get("MessageAttributes", {})
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {name: _attribute(value) for name, value in attributes.items()},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn(source.queue),
        "awsRegion": REGION,
    }
    return record | ({"md5OfMessageAttributes": message["MD5OfMessageAttributes"]} if attributes else {})


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    named = {"stringValue": value.get("StringValue"), "binaryValue": value.get("BinaryValue"), "dataType": value["DataType"]}
    return {"stringListValues": [], "binaryListValues": [], **{key: one for key, one in named.items() if one is not None}}
