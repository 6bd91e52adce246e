"""Handlers that fail in every way a function can."""

import os
import time


def handler(event, context):
    kind = event.get("pathParameters", event)["kind"]
    if kind == "exception":
        raise ValueError("the handler raised")
    if kind == "deep":
        return handler(event, context)
    if kind == "exit":
        os._exit(3)
    if kind == "hang":
        time.sleep(60)
    if kind == "big":
        return {"statusCode": 200, "body": "x" * 7_000_000}
    if kind == "malformed":
        return ["not", "an", "object"]
    return {"statusCode": 200, "body": str(os.getpid())}
