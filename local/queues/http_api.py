"""The operations of SQS's JSON protocol that the SDKs need for standard queues, as an ASGI app.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Operations.html
"""

import json
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

from local.gateway.asgi import AsgiMessage, Receive, Send
from local.queues.errors import ParameterInvalid, SqsError
from local.queues.messages import TRACE_ATTRIBUTE, md5_of, md5_of_attributes, received_fields
from local.queues.service import QueueService
from local.queues.store import MAX_MESSAGE_BYTES, MAX_VISIBILITY_S, SentMessage
from local.request_origin import was_sent_by_page
from local.services.fake_aws.signature import REMEDY, SignatureCheck, SignatureRefused
from local.template.pseudo import ACCOUNT

_BODY_LIMIT_BYTES = 2 * MAX_MESSAGE_BYTES
_MAX_ENTRIES = 10
_MAX_WAIT_S = 20
_TARGET = "AmazonSQS."
_ENTRY_ID = re.compile(r"[\w-]{1,80}")

type Fields = dict[str, Any]
# The trace header of the request, which SQS keeps with the messages that the request sends.
_trace_header: ContextVar[str] = ContextVar("_trace_header", default="")


class QueueApi:
    """Serves SDKs at `url`. Requests of web pages, of other hosts and without a valid signature are refused with 403."""

    def __init__(self, queues: QueueService, check: SignatureCheck, *, url: str, hosts: frozenset[str]) -> None:
        self._queues = queues
        self._signatures = check
        self._url = url
        self._hosts = hosts
        self._operations: dict[str, Callable[[Fields], Awaitable[Fields]]] = {
            "ChangeMessageVisibility": self._change_visibility,
            "CreateQueue": self._create,
            "DeleteMessage": self._delete,
            "DeleteMessageBatch": self._delete_batch,
            "DeleteQueue": self._delete_queue,
            "GetQueueAttributes": self._attributes,
            "GetQueueUrl": self._queue_url,
            "ListQueues": self._list,
            "PurgeQueue": self._purge,
            "ReceiveMessage": self._receive,
            "SendMessage": self._send,
            "SendMessageBatch": self._send_batch,
            "SetQueueAttributes": self._set_attributes,
        }

    async def __call__(self, scope: AsgiMessage, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = await _body(receive)
        _trace_header.set(unquote(headers.get("x-amzn-trace-id", "")))
        try:
            self._check_access(scope, headers, body)
            operation = self._operations.get(headers.get("x-amz-target", "").removeprefix(_TARGET))
            if operation is None:
                raise SqsError(
                    "UnsupportedOperation",
                    "The emulator does not support this operation.",
                    code="AWS.SimpleQueueService.UnsupportedOperation",
                )
            await _reply(send, 200, await operation(_fields(body)))
        except SignatureRefused as refused:
            await _reply(send, 403, {"__type": "AccessDeniedException", "message": f"{refused} {REMEDY}"})
        except SqsError as error:
            # SDKs read the error's code from this header: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-json-faqs.html
            query_error = (b"x-amzn-query-error", f"{error.code};Sender".encode())
            await _reply(send, 400, {"__type": f"com.amazonaws.sqs#{error.shape}", "message": error.message}, query_error)

    def _check_access(self, scope: AsgiMessage, headers: Mapping[str, str], body: bytes) -> None:
        """Raise `SignatureRefused` unless a program with the credentials of this run sent the request."""
        if headers.get("host", "").lower() not in self._hosts:
            raise SignatureRefused("The Host header does not name this server.")
        if was_sent_by_page(headers):
            raise SignatureRefused("Web pages may not call the AWS stand-in.")
        query = scope["query_string"].decode("latin-1")
        target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        # A port forward puts the Host header that the client signed into X-Forwarded-Host.
        signed = {**headers, "host": headers.get("x-forwarded-host") or headers.get("host", "")}
        self._signatures.check_header(
            headers.get("authorization", ""),
            method=scope["method"],
            target=target,
            header=lambda name: signed.get(name, ""),
            body=lambda: body,
        )

    async def _create(self, fields: Fields) -> Fields:
        name = str(fields.get("QueueName", ""))
        self._queues.store.create(name, fields.get("Attributes") or {})
        return {"QueueUrl": self._queue_address(name)}

    async def _delete_queue(self, fields: Fields) -> Fields:
        self._queues.store.delete_queue(_queue_name(fields))
        return {}

    async def _queue_url(self, fields: Fields) -> Fields:
        name = str(fields.get("QueueName", ""))
        self._queues.store.counts(name)
        return {"QueueUrl": self._queue_address(name)}

    async def _list(self, fields: Fields) -> Fields:
        prefix = fields.get("QueueNamePrefix") or ""
        urls = [self._queue_address(name) for name in self._queues.store.names() if name.startswith(prefix)]
        return {"QueueUrls": urls} if urls else {}

    async def _attributes(self, fields: Fields) -> Fields:
        wanted = fields.get("AttributeNames") or []
        found = self._queues.store.attributes(_queue_name(fields))
        chosen = {name: value for name, value in found.items() if name in wanted or "All" in wanted}
        return {"Attributes": chosen} if chosen else {}

    async def _set_attributes(self, fields: Fields) -> Fields:
        self._queues.store.set_attributes(_queue_name(fields), fields.get("Attributes") or {})
        return {}

    async def _purge(self, fields: Fields) -> Fields:
        self._queues.store.purge(_queue_name(fields))
        return {}

    async def _send(self, fields: Fields) -> Fields:
        sent = await self._queues.send(
            _queue_name(fields), fields["MessageBody"], delay_s=fields.get("DelaySeconds"), attributes=_attributes(fields)
        )
        return _sent_fields(sent)

    async def _send_batch(self, fields: Fields) -> Fields:
        name, entries = _queue_name(fields), _entries(fields, "Send")
        if (size := sum(len(entry["MessageBody"].encode()) for entry in entries)) > MAX_MESSAGE_BYTES:
            raise SqsError(
                "BatchRequestTooLong",
                f"Batch requests cannot be longer than {MAX_MESSAGE_BYTES} bytes. You have sent {size} bytes.",
                code="AWS.SimpleQueueService.BatchRequestTooLong",
            )
        done: list[Fields] = []
        failed: list[Fields] = []
        for entry in entries:
            try:
                sent = self._queues.store.send(name, entry["MessageBody"], delay_s=entry.get("DelaySeconds"), attributes=_attributes(entry))
                done.append({"Id": entry["Id"], **_sent_fields(sent)})
            except ParameterInvalid as error:
                failed.append(_failed_entry(entry, error))
        await self._queues.announce(name)
        return {"Successful": done, "Failed": failed}

    async def _receive(self, fields: Fields) -> Fields:
        name = _queue_name(fields)
        count, wait_s = fields.get("MaxNumberOfMessages", 1), fields.get("WaitTimeSeconds")
        visibility_s = fields.get("VisibilityTimeout")
        if not 1 <= count <= _MAX_ENTRIES:
            raise ParameterInvalid(
                f"Value {count} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided."
            )
        wait_s = self._queues.store.receive_wait_s(name) if wait_s is None else wait_s
        if not 0 <= wait_s <= _MAX_WAIT_S:
            raise ParameterInvalid(f"Value {wait_s} for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.")
        if visibility_s is not None and not 0 <= visibility_s <= MAX_VISIBILITY_S:
            raise ParameterInvalid(f"Invalid request, maximum visibility timeout is {MAX_VISIBILITY_S}")
        messages = await self._queues.receive(name, count=count, visibility_s=visibility_s, wait_s=wait_s)
        wanted = {*(fields.get("AttributeNames") or []), *(fields.get("MessageSystemAttributeNames") or [])}
        shown = [received_fields(message, wanted, fields.get("MessageAttributeNames") or []) for message in messages]
        return {"Messages": shown} if shown else {}

    async def _delete(self, fields: Fields) -> Fields:
        self._queues.delete(_queue_name(fields), str(fields.get("ReceiptHandle", "")))
        return {}

    async def _delete_batch(self, fields: Fields) -> Fields:
        name, done, failed = _queue_name(fields), [], []
        for entry in _entries(fields, "Delete"):
            try:
                self._queues.delete(name, entry["ReceiptHandle"])
                done.append({"Id": entry["Id"]})
            except SqsError as error:
                failed.append(_failed_entry(entry, error))
        return {"Successful": done, "Failed": failed}

    async def _change_visibility(self, fields: Fields) -> Fields:
        self._queues.change_visibility(_queue_name(fields), fields["ReceiptHandle"], visibility_s=fields["VisibilityTimeout"])
        return {}

    def _queue_address(self, name: str) -> str:
        return f"{self._url}/{ACCOUNT}/{name}"


def _sent_fields(message: SentMessage) -> Fields:
    attributes = {name: value for name, value in message.attributes.items() if name != TRACE_ATTRIBUTE}
    md5 = {"MD5OfMessageAttributes": md5_of_attributes(attributes)} if attributes else {}
    return {"MessageId": message.id, "MD5OfMessageBody": md5_of(message.body), **md5}


def _failed_entry(entry: Fields, error: SqsError) -> Fields:
    return {"Id": entry["Id"], "SenderFault": True, "Code": error.code, "Message": error.message}


def _queue_name(fields: Fields) -> str:
    return str(fields.get("QueueUrl", "")).rpartition("/")[2]


def _attributes(fields: Fields) -> dict[str, Any]:
    """Return the message attributes of a message to send, with the trace header of the request.

    Raises `ParameterInvalid` for types that SQS does not have.
    """
    attributes: dict[str, Any] = fields.get("MessageAttributes") or {}
    for name, value in attributes.items():
        kind = str(value.get("DataType", ""))
        if kind.split(".")[0] not in ("String", "Number", "Binary"):
            raise ParameterInvalid(
                f"The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is"
                " Binary, Number, and String."
            )
        if not value.get("BinaryValue" if kind.startswith("Binary") else "StringValue"):
            raise ParameterInvalid(f"The message attribute '{name}' must contain non-empty message attribute value.")
    trace = _trace_header.get()
    return {**attributes, TRACE_ATTRIBUTE: {"DataType": "String", "StringValue": trace}} if trace else attributes


def _entries(fields: Fields, action: str) -> list[Fields]:
    """Return the entries of a batch. Raises `SqsError` unless there are 1 to 10 with different ids."""
    entries: list[Fields] = fields.get("Entries") or []
    prefix = "AWS.SimpleQueueService"
    if not entries:
        message = f"There should be at least one {action}MessageBatchRequestEntry in the request."
        raise SqsError("EmptyBatchRequest", message, code=f"{prefix}.EmptyBatchRequest")
    if len(entries) > _MAX_ENTRIES:
        message = f"Maximum number of entries per request are {_MAX_ENTRIES}. You have sent {len(entries)}."
        raise SqsError("TooManyEntriesInBatchRequest", message, code=f"{prefix}.TooManyEntriesInBatchRequest")
    ids = [str(entry.get("Id", "")) for entry in entries]
    if not all(map(_ENTRY_ID.fullmatch, ids)):
        message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."
        raise SqsError("InvalidBatchEntryId", message, code=f"{prefix}.InvalidBatchEntryId")
    if repeated := next((one for index, one in enumerate(ids) if one in ids[:index]), None):
        raise SqsError("BatchEntryIdsNotDistinct", f"Id {repeated} repeated.", code=f"{prefix}.BatchEntryIdsNotDistinct")
    return entries


def _fields(body: bytes) -> Fields:
    try:
        fields = json.loads(body or b"{}")
    except ValueError as error:
        raise SqsError("SerializationException", "The request is not JSON.") from error
    if not isinstance(fields, dict):
        raise SqsError("SerializationException", "The request is not a JSON object.")
    return fields


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size, has_more = 0, True
    while has_more:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        has_more = message.get("more_body", False) and size <= _BODY_LIMIT_BYTES
    return b"".join(parts)


async def _reply(send: Send, status: int, fields: Fields, *headers: tuple[bytes, bytes]) -> None:
    body = json.dumps(fields).encode()
    ours = [
        (b"content-type", b"application/x-amz-json-1.0"),
        (b"content-length", str(len(body)).encode()),
        (b"x-amzn-requestid", str(uuid.uuid4()).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*ours, *headers]})
    await send({"type": "http.response.body", "body": body})
