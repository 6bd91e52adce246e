"""Handlers that do what they are told."""

import os
import time
from pathlib import Path


def echo(event, context):
    """Answer a request with the event it came as; answer anything else with itself and the environment."""
    if "httpMethod" in event:
        return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": _json(event)}
    seen = {"request_id": context.aws_request_id, "arn": context.invoked_function_arn, "left_ms": context.get_remaining_time_in_millis()}
    return {"event": event, "pid": os.getpid(), "cwd": str(Path.cwd()), "environment": dict(os.environ), **seen}


def shape(event, context):
    """Answer with exactly what the request's body says."""
    import json

    return json.loads(event["body"])


def sleep(event, context):
    """Sleep for `seconds`, then say which process slept, and leave a mark where `mark` says."""
    query = event.get("queryStringParameters") or event
    time.sleep(float(query.get("seconds", 1)))
    if "mark" in query:
        Path(query["mark"]).write_text("done")
    return {"statusCode": 200, "body": str(os.getpid())}


def _json(value):
    import json

    return json.dumps(value)
