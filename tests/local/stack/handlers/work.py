"""A handler that processes queue messages as instructed and calls AWS services on demand."""

import json
import os
from pathlib import Path


def handler(event, context):
    """Process a batch and report failed messages; any other event is a call of an AWS service."""
    if "Records" not in event:
        return _call(**event)
    failed = [record["messageId"] for record in event["Records"] if not _work(record)]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}


def _work(record):
    """Append the record to the file named in its body; send the message again, or fail, if the body says so."""
    order = json.loads(record["body"])
    with Path(order["to"]).open("a") as file:
        file.write(json.dumps(record) + "\n")
    if order.get("repeats"):
        _call("sqs", "send_message", QueueUrl="$QUEUE_URL", MessageBody=record["body"])
    return not order.get("fails")


def _call(service, method, **arguments):
    import boto3
    from botocore.config import Config

    client = boto3.client(service, config=Config(signature_version="s3v4") if service == "s3" else None)
    if method == "presign_get":
        return client.generate_presigned_url("get_object", Params={"Bucket": os.environ["BUCKET"], **arguments})
    if method == "presign_post":
        return client.generate_presigned_post(os.environ["BUCKET"], **arguments)
    filled = {key: os.environ.get(value.removeprefix("$"), value) if isinstance(value, str) else value for key, value in arguments.items()}
    answer = getattr(client, method)(**filled)
    answer.pop("ResponseMetadata", None)
    return json.loads(json.dumps(answer, default=str))
