"""The files and keys of a backup: the objects of all buckets, and the parameters of the Parameter Store."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from local.data_dir import write_private
from local.services.aws_signature import AwsCredentials
from local.template.pseudo import REGION

_DELETE_BATCH = 10


class AwsStore:
    """S3 and the Parameter Store of the stack at `url`."""

    def __init__(self, url: str, credentials: AwsCredentials) -> None:
        import boto3  # takes 0.2 s

        options: dict[str, Any] = {"endpoint_url": url, "region_name": REGION}
        options |= {name: getattr(credentials, name) for name in ("aws_access_key_id", "aws_secret_access_key")}
        self._s3: Any = boto3.client("s3", **options)
        self._ssm: Any = boto3.client("ssm", **options)

    def objects(self) -> Iterator[tuple[str, str]]:
        """Yield the bucket and the key of every object."""
        for bucket in self._s3.list_buckets()["Buckets"]:
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"]):
                yield from ((bucket["Name"], entry["Key"]) for entry in page.get("Contents", []))

    def parameters(self) -> list[dict[str, str]]:
        """Return every parameter with its value in clear, ordered by name."""
        pages = self._ssm.get_paginator("get_parameters_by_path").paginate(Path="/", Recursive=True, WithDecryption=True)
        found = [{name: one[name] for name in ("Name", "Type", "Value")} for page in pages for one in page["Parameters"]]
        return sorted(found, key=lambda one: one["Name"])

    def is_empty(self) -> bool:
        """Return whether there is neither an object nor a parameter."""
        return not self.parameters() and next(self.objects(), None) is None

    def save_objects(self, folder: Path) -> dict[str, dict[str, Any]]:
        """Copy every object below `folder`, and return its size, checksum and content type by path."""
        saved = {}
        for bucket, key in self.objects():
            answer = self._s3.get_object(Bucket=bucket, Key=key)
            # Quoted: a key may contain `..` or begin with a slash.
            path = Path(bucket) / quote(key, safe="")
            (folder / bucket).mkdir(parents=True, exist_ok=True)
            digest, size = hashlib.sha256(), 0
            with (folder / path).open("wb") as file:
                for piece in answer["Body"].iter_chunks(1 << 20):
                    file.write(piece)
                    digest.update(piece)
                    size += len(piece)
            metadata = {"content_type": answer["ContentType"], "metadata": answer["Metadata"]}
            saved[str(path)] = {"bytes": size, "sha256": digest.hexdigest()} | metadata
        return saved

    def save_parameters(self, path: Path) -> None:
        """Write every parameter to `path`, readable by its owner only."""
        write_private(path, json.dumps(self.parameters(), indent=1))

    def restore_objects(self, folder: Path, saved: dict[str, dict[str, Any]]) -> None:
        """Store the saved objects and delete all others."""
        buckets = {one["Name"] for one in self._s3.list_buckets()["Buckets"]}
        wanted = {(Path(name).parts[0], unquote(Path(name).parts[1])): (name, entry) for name, entry in saved.items()}
        for bucket in {bucket for bucket, _ in wanted} - buckets:
            self._s3.create_bucket(Bucket=bucket)
        for (bucket, key), (name, entry) in wanted.items():
            with (folder / name).open("rb") as file:
                self._s3.put_object(Bucket=bucket, Key=key, Body=file, ContentType=entry["content_type"], Metadata=entry["metadata"])
        for bucket, key in set(self.objects()) - wanted.keys():
            self._s3.delete_object(Bucket=bucket, Key=key)

    def restore_parameters(self, path: Path) -> None:
        """Store the saved parameters and delete all others."""
        saved = json.loads(path.read_text())
        for one in saved:
            self._ssm.put_parameter(**one, Overwrite=True)
        extra = sorted({one["Name"] for one in self.parameters()} - {one["Name"] for one in saved})
        for first in range(0, len(extra), _DELETE_BATCH):
            self._ssm.delete_parameters(Names=extra[first : first + _DELETE_BATCH])
