"""Disables garbage collection during a cold start, because nearly all of the many objects that imports create stay in use.

Each `app.py` imports this module first and calls `finish` last. This saves about a tenth of a cold start's CPU time
(`make bench`).
"""

import gc

gc.disable()


def finish() -> None:
    """Turn garbage collection on again, and exclude all existing objects from it."""
    gc.freeze()
    gc.enable()
