"""The process that reads one document, as the function does: `python -m bench.ingest.worker USER DOCUMENT`, on one core.

Prints what it took as JSON: seconds, and seconds of processor time of the function and of the reading child.
"""

import json
import os
import resource
import sys
import time
from types import SimpleNamespace

_LEFT_MS = 300_000


def _cpu_s(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def main(user_id: str, document_id: str) -> None:
    """Read the document."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from functions.ingest.app import handler

    context = SimpleNamespace(
        function_name="IngestFunction",
        memory_limit_in_mb=1024,
        invoked_function_arn="arn:aws:lambda:eu-west-1:000000000000:function:IngestFunction",
        aws_request_id="bench",
        get_remaining_time_in_millis=lambda: _LEFT_MS,
    )
    body = json.dumps({"Records": [{"s3": {"object": {"key": f"documents/{user_id}/{document_id}"}}}]})
    began, before_s = time.perf_counter(), _cpu_s(resource.RUSAGE_SELF)
    failed = handler({"Records": [{"messageId": "1", "body": body}]}, context)["batchItemFailures"]
    took = {"wall_s": time.perf_counter() - began, "function_s": _cpu_s(resource.RUSAGE_SELF) - before_s}
    print(json.dumps(took | {"reader_s": _cpu_s(resource.RUSAGE_CHILDREN), "failed": bool(failed)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
