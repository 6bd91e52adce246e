"""Identifiers that sort by creation time."""

import secrets
import time
from uuid import UUID


def new_id() -> UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, 12 bits of sub-millisecond fraction, 62 random bits.

    The fraction has a resolution of 244 ns, so ids that one process creates sort in the order of their creation. Source:
    RFC 9562, section 5.7, and section 6.2, method 3. Python 3.14 has `uuid.uuid7`.
    """
    milliseconds, rest_ns = divmod(time.time_ns(), 1_000_000)
    fraction = (rest_ns << 12) // 1_000_000
    version, variant = 0x7 << 76, 0b10 << 62
    return UUID(int=milliseconds << 80 | version | fraction << 64 | variant | secrets.randbits(62))
