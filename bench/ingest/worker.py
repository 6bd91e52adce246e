"""Ingest one document with the function's handler, on one core: `python -m bench.ingest.worker USER DOCUMENT`.

Prints JSON with the wall time and the processor time, in seconds, of the function and of its parser process.
"""

import json
import os
import resource
import sys
import time
from types import SimpleNamespace

_REMAINING_MS = 300_000


def _cpu_s(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def main(user_id: str, document_id: str) -> None:
    """Ingest the document and print the cost."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from functions.ingest.app import handler

    context = SimpleNamespace(
        function_name="IngestFunction",
        memory_limit_in_mb=1024,
        invoked_function_arn="arn:aws:lambda:eu-west-1:000000000000:function:IngestFunction",
        aws_request_id="bench",
        get_remaining_time_in_millis=lambda: _REMAINING_MS,
    )
    body = json.dumps({"Records": [{"s3": {"object": {"key": f"documents/{user_id}/{document_id}"}}}]})
    began = time.perf_counter()
    cpu_before_s = _cpu_s(resource.RUSAGE_SELF)
    failed = handler({"Records": [{"messageId": "1", "body": body}]}, context)["batchItemFailures"]
    cost = {"wall_s": time.perf_counter() - began, "function_s": _cpu_s(resource.RUSAGE_SELF) - cpu_before_s}
    print(json.dumps(cost | {"reader_s": _cpu_s(resource.RUSAGE_CHILDREN), "failed": bool(failed)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
