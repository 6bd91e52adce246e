"""From S3 buckets of a template to what the emulator makes."""

import re

from local.template.errors import Unresolvable
from local.template.references import BUCKET, bucket_name
from local.template.source import Fragment
from local.template.stack import Bucket

KIND = BUCKET
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_LEGAL = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def read(name: str, properties: Fragment) -> Bucket:
    """Return the bucket; raises `Unresolvable` for a name that S3 refuses."""
    found = str(bucket_name(name, properties))
    if not _LEGAL.fullmatch(found) or ".." in found:
        raise Unresolvable(f"{found!r} is not a name of a bucket: 3 to 63 small letters, digits, hyphens and single dots")
    return Bucket(found)
