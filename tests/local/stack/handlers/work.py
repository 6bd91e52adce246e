"""Works on messages as they say, and uses AWS's services as it is asked to."""

import json
import os
from pathlib import Path


def handler(event, context):
    """Work on a batch and report what failed; anything else is a call of one of the services."""
    if "Records" not in event:
        return _call(**event)
    failed = [record["messageId"] for record in event["Records"] if not _work(record)]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}


def _work(record):
    """Add the record to the file that its body names; one that is told to fail fails."""
    order = json.loads(record["body"])
    with Path(order["to"]).open("a") as file:
        file.write(json.dumps(record) + "\n")
    return not order.get("fails")


def _call(service, method, **arguments):
    import boto3

    client = boto3.client(service)
    if method == "presign_get":
        return client.generate_presigned_url("get_object", Params={"Bucket": os.environ["BUCKET"], **arguments})
    if method == "presign_post":
        return client.generate_presigned_post(os.environ["BUCKET"], **arguments)
    filled = {key: os.environ.get(value.removeprefix("$"), value) if isinstance(value, str) else value for key, value in arguments.items()}
    answer = getattr(client, method)(**filled)
    answer.pop("ResponseMetadata", None)
    return json.loads(json.dumps(answer, default=str))
