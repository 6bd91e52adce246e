"""A worker's start without garbage collection: imports make objects by the hundred thousand, and nearly all of them stay.

An `app.py` imports this first and calls `finish` last. It saves about a tenth of the CPU time of a start (`make bench`).
"""

import gc

gc.disable()


def finish() -> None:
    """Turn collection on again, and spare it what the start has made."""
    gc.freeze()
    gc.enable()
