"""S3: a snapshot of buckets and the newest version of every object, notifications to queues, and counts for `parley status`."""

import hashlib
import http.client
import json
import logging
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import moto.s3.notifications
from moto.s3.models import FakeBucket, FakeKey, s3_backends

from local.services.aws_signature import AwsCredentials, signed_headers
from local.services.fake_aws.inspection_paths import STATE_PATH
from local.services.fake_aws.request import AwsRequest, WsgiApp
from local.services.fake_aws.snapshot import SnapshotFolder, StoredItem
from local.template.pseudo import ACCOUNT, REGION

_BUCKET_FILE = "bucket"
_FIELDS = ("etag", "storage", "encryption", "checksum_value")
_SEND_HEADERS = {"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0"}
_SEND_ATTEMPTS = 3
_SEND_PAUSE_S = 0.1
_SEND_TIMEOUT_S = 10


class S3Snapshot:
    """Stores a file for each bucket and each object; an object's file is a line of JSON, then the bytes. Unfinished uploads are lost."""

    def __init__(self, folder: Path) -> None:
        self._files = SnapshotFolder(folder)

    def changes(self, environ: Mapping[str, Any]) -> bool:
        return AwsRequest.of(environ).writes_objects

    def save(self) -> None:
        self._files.replace_all(dict(_stored_items()))

    def load(self) -> None:
        buckets: dict[str, FakeBucket] = s3_backends[ACCOUNT]["aws"].buckets
        for path, content in self._files.read():
            name = path.partition("/")[0]
            bucket = buckets.get(name) or buckets.setdefault(name, FakeBucket(name, ACCOUNT, REGION))  # type: ignore[abstract]
            if not path.endswith(f"/{_BUCKET_FILE}"):
                key = _object_from(name, content)
                bucket.keys[key.name] = key
        self._files.mark_saved(dict(_stored_items()))


def _stored_items() -> Iterator[tuple[str, StoredItem]]:
    for bucket in list(s3_backends[ACCOUNT]["aws"].buckets.values()):
        yield f"{bucket.name}/{_BUCKET_FILE}", StoredItem(bucket, bytes)
        for name, key in bucket.keys.items():
            # Skip delete markers. moto creates a new FakeKey for each change, so the key itself serves as the state.
            if isinstance(key, FakeKey):
                yield f"{bucket.name}/{hashlib.sha256(name.encode()).hexdigest()}", StoredItem(key, partial(_object_content, key))


def _object_content(key: FakeKey) -> bytes:
    head = {
        "name": key.name,
        "at": key.last_modified.isoformat(),
        "metadata": dict(key.metadata),
        "storage": key.storage_class,
        "etag": key.etag.strip('"'),
        "encryption": key.encryption,
        "checksum_value": key.checksum_value,
        "checksum_algorithm": key.checksum_algorithm,
    }
    return json.dumps(head).encode() + b"\n" + key.value


def _object_from(bucket: str, content: bytes) -> FakeKey:
    head, _, value = content.partition(b"\n")
    fields = json.loads(head)
    known = {name: fields[name] for name in _FIELDS}
    key = FakeKey(fields["name"], value, account_id=ACCOUNT, region_name=REGION, bucket_name=bucket, version_id="null", **known)
    key.set_metadata(fields["metadata"], replace=True)
    key.last_modified = datetime.fromisoformat(fields["at"])
    key.checksum_algorithm = fields["checksum_algorithm"]
    return key


class BucketCounter:
    """A WSGI middleware that serves the number and the size of each bucket's objects."""

    def __init__(self, app: WsgiApp) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != STATE_PATH:
            return self._app(environ, start_response)
        body = json.dumps([_bucket_counts(bucket) for bucket in list(s3_backends[ACCOUNT]["aws"].buckets.values())]).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


def _bucket_counts(bucket: FakeBucket) -> dict[str, Any]:
    sizes = [getattr(key, "size", 0) for key in bucket.keys.values()]
    return {"name": bucket.name, "objects": len(sizes), "bytes": sum(sizes)}


class NotificationSender:
    """Sends the notifications of buckets to the queues at `queues_url`; moto would put them into its own queues.

    A failed event is logged; as on AWS, it does not fail the upload.
    """

    def __init__(self, queues_url: str, credentials: AwsCredentials) -> None:
        self._url = queues_url
        self._address = urllib.parse.urlsplit(queues_url).netloc
        self._credentials = credentials

    def install(self) -> None:
        """Replace moto's function, which every notification passes through."""
        vars(moto.s3.notifications)["_send_sqs_message"] = self.send

    def send(self, _account: str, event_body: Any, queue_name: str, _region: str) -> None:
        """Send an event to a queue. The parameters are those of moto's function."""
        fields = {"QueueUrl": f"{self._url}/{ACCOUNT}/{queue_name}", "MessageBody": json.dumps(event_body)}
        body = json.dumps(fields).encode()
        for attempt in range(1, _SEND_ATTEMPTS + 1):
            try:
                return self._post(body)
            except (OSError, http.client.HTTPException) as error:
                logging.getLogger(__name__).error("cannot notify %s (attempt %d): %s", queue_name, attempt, error)
                time.sleep(_SEND_PAUSE_S * attempt)
        return None

    def _post(self, body: bytes) -> None:
        signed = signed_headers(self._credentials, service="sqs", method="POST", url=f"{self._url}/", body=body, headers=_SEND_HEADERS)
        connection = http.client.HTTPConnection(self._address, timeout=_SEND_TIMEOUT_S)
        try:
            connection.request("POST", "/", body, signed)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise http.client.HTTPException(f"status {answer.status}: {content.decode(errors='replace')}")
