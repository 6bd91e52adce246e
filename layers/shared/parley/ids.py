"""Identifiers that sort by the time they were made."""

import secrets
import time
from uuid import UUID


def new_id() -> UUID:
    """Make a UUIDv7: 48 bits of Unix milliseconds, then 74 random bits.

    Ids of the same millisecond sort in no particular order. Source: RFC 9562, section 5.7.
    Python 3.14 brings `uuid.uuid7`.
    """
    milliseconds = time.time_ns() // 1_000_000
    random = secrets.randbits(74)
    version, variant = 0x7 << 76, 0b10 << 62
    return UUID(int=milliseconds << 80 | version | random >> 62 << 64 | variant | random & (1 << 62) - 1)
