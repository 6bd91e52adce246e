"""Messages in the format of ReceiveMessage, with the digests that SDKs verify."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from local.queues.store import ReceivedMessage

# A message in the format of ReceiveMessage.
type SqsMessage = dict[str, Any]
# The attribute that stores the trace header of a message. Clients cannot set it: SQS reserves names that begin with `AWS.`.
TRACE_ATTRIBUTE = "AWS.TraceHeader"
# The requester's id, constant like the account.
_SENDER_ID = "AIDALOCALPARLEY"


def received_fields(message: ReceivedMessage, system: set[str], names: Sequence[str]) -> SqsMessage:
    """Return a message in the format of ReceiveMessage, with the system attributes and the message attributes of these names."""
    found = {
        "SenderId": _SENDER_ID,
        "SentTimestamp": _milliseconds(message.sent_at),
        "ApproximateReceiveCount": str(message.receives),
        "ApproximateFirstReceiveTimestamp": _milliseconds(message.first_received_at),
    }
    if TRACE_ATTRIBUTE in message.attributes:
        found["AWSTraceHeader"] = message.attributes[TRACE_ATTRIBUTE]["StringValue"]
    chosen = {name: value for name, value in found.items() if name in system or "All" in system}
    attributes = {name: value for name, value in message.attributes.items() if name != TRACE_ATTRIBUTE and _is_wanted(name, names)}
    return {
        "MessageId": message.id,
        "ReceiptHandle": message.handle,
        "MD5OfBody": md5_of(message.body),
        "Body": message.body,
        **({"Attributes": chosen} if chosen else {}),
        **({"MessageAttributes": attributes, "MD5OfMessageAttributes": md5_of_attributes(attributes)} if attributes else {}),
    }


def _is_wanted(name: str, wanted: Sequence[str]) -> bool:
    return any(one in ("All", name) or (one.endswith(".*") and name.startswith(one[:-2])) for one in wanted)


def _milliseconds(at: float) -> str:
    return str(int(at * 1000))


def md5_of(text: str) -> str:
    """Return the MD5 that SQS returns for a body; SDKs compare it with their own."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def md5_of_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the MD5 that SQS returns for message attributes.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html#sqs-attributes-md5-message-digest-calculation
    """
    parts: list[bytes] = []
    for name in sorted(attributes):
        value = attributes[name]
        kind = value["DataType"]
        is_binary = kind.startswith("Binary")
        content = base64.b64decode(value["BinaryValue"]) if is_binary else value["StringValue"].encode()
        parts += [_prefixed(name.encode()), _prefixed(kind.encode()), b"\2" if is_binary else b"\1", _prefixed(content)]
    return hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()


def _prefixed(content: bytes) -> bytes:
    return len(content).to_bytes(4) + content
