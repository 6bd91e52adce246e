"""Handlers whose behaviour the request determines."""

import os
import time
from pathlib import Path


def echo(event, context):
    """Return the event: as an HTTP response for a request, else together with the environment."""
    if "httpMethod" in event:
        return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": _json(event)}
    seen = {"request_id": context.aws_request_id, "arn": context.invoked_function_arn, "left_ms": context.get_remaining_time_in_millis()}
    return {"event": event, "pid": os.getpid(), "cwd": str(Path.cwd()), "environment": dict(os.environ), **seen}


def shape(event, context):
    """Return the request's body as the proxy response."""
    import json

    return json.loads(event["body"])


def sleep(event, context):
    """Sleep for `seconds`, create the file `mark` if given, and return the process id."""
    query = event.get("queryStringParameters") or event
    time.sleep(float(query.get("seconds", 1)))
    if "mark" in query:
        Path(query["mark"]).write_text("done")
    return {"statusCode": 200, "body": str(os.getpid())}


def _json(value):
    import json

    return json.dumps(value)
