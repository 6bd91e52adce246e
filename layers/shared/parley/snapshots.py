"""Hooks of Lambda SnapStart: what a function closes before its snapshot, and what it renews after it is restored from it.

Every worker starts from the same memory, hours or days later: connections are dead, and a random generator would repeat itself.
Without SnapStart the hooks are not registered and cost nothing.
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
"""

import os
import random
from collections.abc import Callable

_IS_SNAPSHOT_TAKEN = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


def before_snapshot(close: Callable[[], object]) -> None:
    """Call `close` before the snapshot: close connections, and forget credentials and copies of what may change meanwhile."""
    if _IS_SNAPSHOT_TAKEN:
        from snapshot_restore_py import register_before_snapshot

        register_before_snapshot(close)


def after_restore(renew: Callable[[], object]) -> None:
    """Call `renew` in each worker before its first invocation."""
    if _IS_SNAPSHOT_TAKEN:
        from snapshot_restore_py import register_after_restore

        register_after_restore(renew)


# For the pauses between repeated calls, and for span ids. Ids and secrets come from the system's generator, which SnapStart reseeds.
after_restore(random.seed)
