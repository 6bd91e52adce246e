"""From S3 buckets of a template to what the emulator makes."""

import re

from local.template.errors import Unresolvable
from local.template.references import BUCKET, bucket_name
from local.template.source import Fragment
from local.template.stack import Bucket, Notification

KIND = BUCKET
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_LEGAL = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def read(name: str, properties: Fragment) -> Bucket:
    """Return the bucket; raises `Unresolvable` for a name that S3 refuses, and for notifications that nobody here would get."""
    found = str(bucket_name(name, properties))
    if not _LEGAL.fullmatch(found) or ".." in found:
        raise Unresolvable(f"{found!r} is not a name of a bucket: 3 to 63 small letters, digits, hyphens and single dots")
    return Bucket(found, _notifications(properties.get("NotificationConfiguration", {})))


def _notifications(configuration: Fragment) -> tuple[Notification, ...]:
    if others := configuration.keys() - {"QueueConfigurations"}:
        raise Unresolvable(f"{', '.join(sorted(others))}: only queues are told of new objects here")
    return tuple(
        Notification(str(one["Queue"]), str(one["Event"]), _prefix(one.get("Filter", {})))
        for one in configuration.get("QueueConfigurations", [])
    )


def _prefix(chosen: Fragment) -> str:
    rules = chosen.get("S3Key", {}).get("Rules", [])
    if any(str(rule["Name"]).lower() != "prefix" for rule in rules) or len(rules) > 1:
        raise Unresolvable("a filter of notifications has one rule here, the prefix")
    return str(rules[0]["Value"]) if rules else ""
