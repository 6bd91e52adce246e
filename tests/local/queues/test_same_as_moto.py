"""The emulator's queues and moto's, held to each other: the same calls by boto3 give the same results.

moto, which is maintained against AWS, is the reference for results and errors. Ids, handles and times differ and are compared
by their presence only.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from local.queues.server import QueueServer
from local.queues.service import QueueService
from local.services.aws_signature import AwsCredentials

_VARYING = {"MessageId", "ReceiptHandle", "QueueUrl", "SentTimestamp", "ApproximateFirstReceiveTimestamp", "SenderId", "Message"}
_VARYING |= {"CreatedTimestamp", "LastModifiedTimestamp"}

type Sqs = Any


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sqs]:
    """A boto3 client of the emulator's queues."""
    credentials, started, end = AwsCredentials.create(), threading.Event(), asyncio.Event()
    server = QueueServer(credentials)
    loops: list[asyncio.AbstractEventLoop] = []

    async def run() -> None:
        queues = QueueService(tmp_path_factory.mktemp("queues"))
        await server.start(queues)
        loops.append(asyncio.get_running_loop())
        started.set()
        await end.wait()
        await server.stop()
        queues.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert started.wait(60)
    yield client(server.url, credentials)
    loops[0].call_soon_threadsafe(end.set)
    thread.join(60)


@pytest.fixture(scope="module")
def motos() -> Iterator[Sqs]:
    """A boto3 client of moto's queues."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield client("http://{}:{}".format(*server.get_host_and_port()), AwsCredentials.create())
    server.stop()


def client(url: str, credentials: AwsCredentials) -> Sqs:
    access = {name.lower(): value for name, value in credentials.environment.items()}
    config = Config(retries={"total_max_attempts": 1}, read_timeout=60)
    return boto3.session.Session().client("sqs", region_name="us-east-1", endpoint_url=url, config=config, **access)


def results(sqs: Sqs, script: Callable[[Sqs, Callable[..., Any]], None]) -> list[Any]:
    """Run the script, which calls operations through its second argument, and return what the calls returned."""
    seen: list[Any] = []

    def call(operation: str, **fields: Any) -> Any:
        try:
            answer = getattr(sqs, operation)(**fields)
        except ClientError as error:
            seen.append((operation, "error", error.response["Error"]["Code"], type(error).__name__))
            return None
        answer.pop("ResponseMetadata")
        seen.append((operation, masked(answer)))
        return answer

    script(sqs, call)
    return seen


def masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "…" if key in _VARYING else masked(one) for key, one in value.items()}
    return [masked(one) for one in value] if isinstance(value, list) else value


SCRIPTS: list[Callable[[Sqs, Callable[..., Any]], None]] = []


def script(function: Callable[[Sqs, Callable[..., Any]], None]) -> Callable[[Sqs, Callable[..., Any]], None]:
    SCRIPTS.append(function)
    return function


def make(call: Callable[..., Any], name: str, **attributes: str) -> str:
    return str(call("create_queue", QueueName=name, Attributes=attributes)["QueueUrl"])


@script
def a_message_is_sent_received_and_deleted(sqs: Sqs, call: Callable[..., Any]) -> None:
    url = make(call, "life", VisibilityTimeout="600")
    call("send_message", QueueUrl=url, MessageBody="ä body")
    (message,) = call("receive_message", QueueUrl=url, AttributeNames=["All"])["Messages"]
    call("receive_message", QueueUrl=url)
    call("delete_message", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    call("delete_message", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    call("receive_message", QueueUrl=url)


@script
def message_attributes_come_back_with_their_digest(sqs: Sqs, call: Callable[..., Any]) -> None:
    url = make(call, "attributed", VisibilityTimeout="0")
    attributes = {"n": {"DataType": "Number", "StringValue": "1"}, "b": {"DataType": "Binary", "BinaryValue": b"\0\1"}}
    call("send_message", QueueUrl=url, MessageBody="x", MessageAttributes=attributes)
    call("receive_message", QueueUrl=url, MessageAttributeNames=["All"])
    call("receive_message", QueueUrl=url, MessageAttributeNames=["n"])
    call("receive_message", QueueUrl=url, MessageSystemAttributeNames=["ApproximateReceiveCount"])
    call("send_message", QueueUrl=url, MessageBody="x", MessageAttributes={"n": {"DataType": "Float", "StringValue": "1"}})


@script
def an_invisible_message_is_visible_again_on_demand(sqs: Sqs, call: Callable[..., Any]) -> None:
    url = make(call, "visibility", VisibilityTimeout="600")
    call("send_message", QueueUrl=url, MessageBody="x")
    (message,) = call("receive_message", QueueUrl=url)["Messages"]
    call("change_message_visibility", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1, VisibilityTimeout=0)
    call("receive_message", QueueUrl=url, WaitTimeSeconds=1, AttributeNames=["ApproximateReceiveCount"])
    call("change_message_visibility", QueueUrl=url, ReceiptHandle="garbage", VisibilityTimeout=0)
    call("change_message_visibility", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=43_201)


@script
def delayed_messages_are_counted_and_not_received(sqs: Sqs, call: Callable[..., Any]) -> None:
    url = make(call, "delayed")
    call("send_message", QueueUrl=url, MessageBody="now")
    call("send_message", QueueUrl=url, MessageBody="later", DelaySeconds=900)
    call("send_message", QueueUrl=url, MessageBody="never", DelaySeconds=901)
    call("receive_message", QueueUrl=url, MaxNumberOfMessages=10)
    names = [f"ApproximateNumberOfMessages{kind}" for kind in ("NotVisible", "Delayed")]
    call("get_queue_attributes", QueueUrl=url, AttributeNames=names)


@script
def a_queue_may_delay_its_messages(sqs: Sqs, call: Callable[..., Any]) -> None:
    url = make(call, "slow", DelaySeconds="900")
    call("send_message", QueueUrl=url, MessageBody="later")
    call("send_message", QueueUrl=url, MessageBody="now", DelaySeconds=0)
    call("receive_message", QueueUrl=url, MaxNumberOfMessages=10)


@script
def a_delay_ends_by_itself(sqs: Sqs, call: Callable[..., Any]) -> None:
    url = make(call, "soon")
    call("send_message", QueueUrl=url, MessageBody="x", DelaySeconds=1)
    call("receive_message", QueueUrl=url, WaitTimeSeconds=20)


@script
def a_visibility_timeout_ends_by_itself(sqs: Sqs, call: Callable[..., Any]) -> None:
    url = make(call, "again", VisibilityTimeout="1")
    call("send_message", QueueUrl=url, MessageBody="x")
    call("receive_message", QueueUrl=url)
    call("receive_message", QueueUrl=url, WaitTimeSeconds=20, AttributeNames=["ApproximateReceiveCount"])


@script
def a_message_received_too_often_is_a_dead_letter(sqs: Sqs, call: Callable[..., Any]) -> None:
    dead = make(call, "dead")
    policy = json.dumps({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:dead", "maxReceiveCount": 2})
    url = make(call, "strict", VisibilityTimeout="0", RedrivePolicy=policy)
    call("send_message", QueueUrl=url, MessageBody="bad")
    for _ in range(3):
        sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
    call("receive_message", QueueUrl=url, WaitTimeSeconds=0)
    call("receive_message", QueueUrl=dead, AttributeNames=["ApproximateReceiveCount"])


@script
def a_redrive_policy_names_an_existing_queue(sqs: Sqs, call: Callable[..., Any]) -> None:
    url = make(call, "orphan")
    policy = json.dumps({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:nowhere", "maxReceiveCount": 2})
    call("set_queue_attributes", QueueUrl=url, Attributes={"RedrivePolicy": policy})
    call("set_queue_attributes", QueueUrl=url, Attributes={"RedrivePolicy": ""})


@script
def batches_are_sent_and_deleted_entry_by_entry(sqs: Sqs, call: Callable[..., Any]) -> None:
    url = make(call, "batch")
    entries = [{"Id": str(number), "MessageBody": f"body {number}"} for number in range(3)]
    call("send_message_batch", QueueUrl=url, Entries=[*entries, {"Id": "late", "MessageBody": "x", "DelaySeconds": 901}])
    messages = call("receive_message", QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    deletions = [{"Id": message["Body"][-1], "ReceiptHandle": message["ReceiptHandle"]} for message in messages]
    call("delete_message_batch", QueueUrl=url, Entries=[*deletions, {"Id": "x", "ReceiptHandle": "garbage"}])
    call("get_queue_attributes", QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])


@script
def faulty_batches_are_refused_whole(sqs: Sqs, call: Callable[..., Any]) -> None:
    url = make(call, "faulty")
    entries = [{"Id": str(number), "MessageBody": "x"} for number in range(11)]
    call("send_message_batch", QueueUrl=url, Entries=[])
    call("send_message_batch", QueueUrl=url, Entries=entries)
    call("send_message_batch", QueueUrl=url, Entries=[entries[0], entries[0]])
    call("send_message_batch", QueueUrl=url, Entries=[{"Id": "a b", "MessageBody": "x"}])
    call("send_message_batch", QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": "x" * 600_000} for n in range(2)])
    call("get_queue_attributes", QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])


@script
def parameters_out_of_range_are_refused(sqs: Sqs, call: Callable[..., Any]) -> None:
    url = make(call, "ranges")
    call("receive_message", QueueUrl=url, MaxNumberOfMessages=11)
    call("receive_message", QueueUrl=url, MaxNumberOfMessages=0)
    call("receive_message", QueueUrl=url, WaitTimeSeconds=21)
    call("receive_message", QueueUrl=url, VisibilityTimeout=43_201)
    call("send_message", QueueUrl=url, MessageBody="x" * 1_048_577)


@script
def a_missing_queue_is_an_error_of_every_operation(sqs: Sqs, call: Callable[..., Any]) -> None:
    url = make(call, "there").replace("there", "missing")
    call("send_message", QueueUrl=url, MessageBody="x")
    call("send_message_batch", QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "x"}])
    call("receive_message", QueueUrl=url)
    call("delete_message", QueueUrl=url, ReceiptHandle="x")
    call("get_queue_attributes", QueueUrl=url, AttributeNames=["All"])
    call("set_queue_attributes", QueueUrl=url, Attributes={"DelaySeconds": "1"})
    call("purge_queue", QueueUrl=url)
    call("get_queue_url", QueueName="missing")


@script
def a_queue_is_made_once_changed_listed_emptied_and_deleted(sqs: Sqs, call: Callable[..., Any]) -> None:
    url = make(call, "managed", DelaySeconds="5")
    make(call, "managed", DelaySeconds="5")
    call("create_queue", QueueName="managed", Attributes={"DelaySeconds": "6"})
    call("set_queue_attributes", QueueUrl=url, Attributes={"VisibilityTimeout": "40", "DelaySeconds": "0"})
    names = ["VisibilityTimeout", "DelaySeconds", "MessageRetentionPeriod", "MaximumMessageSize", "QueueArn"]
    call("get_queue_attributes", QueueUrl=url, AttributeNames=names)
    assert [one.rpartition("/")[2] for one in call("list_queues", QueueNamePrefix="manag")["QueueUrls"]] == ["managed"]
    call("get_queue_url", QueueName="managed")
    call("send_message", QueueUrl=url, MessageBody="x")
    call("purge_queue", QueueUrl=url)
    call("receive_message", QueueUrl=url)
    call("delete_queue", QueueUrl=url)
    call("receive_message", QueueUrl=url)


_VARYING |= {"QueueUrls"}


@pytest.mark.parametrize("calls", SCRIPTS, ids=lambda function: function.__name__)
def test_the_same_calls_give_the_same_results(ours: Sqs, motos: Sqs, calls: Callable[[Sqs, Callable[..., Any]], None]) -> None:
    assert results(ours, calls) == results(motos, calls)


def test_the_templates_queues_need_no_other_attribute() -> None:
    from local.queues.store import DEFAULT_ATTRIBUTES
    from local.template.load import load

    used = {name for queue in load(Path("template.yaml"), overrides={}).queues.values() for name in queue.attributes}

    assert used <= {*DEFAULT_ATTRIBUTES, "RedrivePolicy"}
