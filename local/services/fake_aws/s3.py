"""A snapshot of S3: buckets, and the newest version of every object; and a count of both for `parley status`."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from moto.s3.models import FakeBucket, FakeKey, s3_backends

from local.services.fake_aws.inspection_paths import STATE_PATH
from local.services.fake_aws.request import AwsRequest, WsgiApp
from local.services.fake_aws.snapshot import SnapshotFolder, StoredItem
from local.template.pseudo import ACCOUNT, REGION

_BUCKET_FILE = "bucket"
_FIELDS = ("etag", "storage", "encryption", "checksum_value")


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
