"""Keeping S3's buckets and the newest version of every object."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from moto.s3.models import FakeBucket, FakeKey, s3_backends

from local.services.asked import Asked
from local.services.cabinet import Cabinet, Kept
from local.template.pseudo import ACCOUNT, REGION

_BUCKET = "bucket"
_FIELDS = ("etag", "storage", "encryption", "checksum_value")


class S3Shelf:
    """Keeps a file for each bucket and each object: a line of JSON about it, then its bytes. Unfinished uploads are not kept."""

    def __init__(self, folder: Path) -> None:
        self._cabinet = Cabinet(folder)

    def changes(self, environ: Mapping[str, Any]) -> bool:
        return Asked.of(environ).writes_objects

    def save(self) -> None:
        self._cabinet.keep(dict(_things()))

    def load(self) -> None:
        buckets: dict[str, FakeBucket] = s3_backends[ACCOUNT]["aws"].buckets
        for path, content in self._cabinet.read():
            name = path.partition("/")[0]
            bucket = buckets.get(name) or buckets.setdefault(name, FakeBucket(name, ACCOUNT, REGION))  # type: ignore[abstract]
            if not path.endswith(f"/{_BUCKET}"):
                key = _key(name, content)
                bucket.keys[key.name] = key
        self._cabinet.adopt(dict(_things()))


def _things() -> Iterator[tuple[str, Kept]]:
    for bucket in list(s3_backends[ACCOUNT]["aws"].buckets.values()):
        yield f"{bucket.name}/{_BUCKET}", Kept(bucket, bytes)
        for name, key in bucket.keys.items():
            # The newest version of a deleted object is a mark that says so. A changed object is another one to moto.
            if isinstance(key, FakeKey):
                yield f"{bucket.name}/{hashlib.sha256(name.encode()).hexdigest()}", Kept(key, partial(_content, key))


def _content(key: FakeKey) -> bytes:
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


def _key(bucket: str, content: bytes) -> FakeKey:
    head, _, value = content.partition(b"\n")
    fields = json.loads(head)
    known = {name: fields[name] for name in _FIELDS}
    key = FakeKey(fields["name"], value, account_id=ACCOUNT, region_name=REGION, bucket_name=bucket, version_id="null", **known)
    key.set_metadata(fields["metadata"], replace=True)
    key.last_modified = datetime.fromisoformat(fields["at"])
    key.checksum_algorithm = fields["checksum_algorithm"]
    return key
