"""Queues in SQS, and the translation of SQS's errors."""

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError

from parley.aws.sqs import SqsMessage, SqsQueue
from parley.errors import Unavailable


@pytest.fixture
def url(aws, request):
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName=f"queue-{abs(hash(request.node.name))}")["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def received(url):
    """Return the messages that can be received now."""

    def received():
        found = boto3.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [message["Body"] for message in found]

    return received


@pytest.fixture
def refusing(url, monkeypatch):
    """Return a queue whose SQS raises this error or returns this response."""

    def refusing(outcome):
        def call(*_):
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(BaseClient, "_make_api_call", call)
        return SqsQueue(url)

    return refusing


WAYS = [lambda queue: queue.put("x"), lambda queue: queue.put_all([SqsMessage("x")])]


def test_a_message_is_received_as_it_was_sent(url, received):
    SqsQueue(url).put("hello")

    assert received() == ["hello"]


def test_a_delayed_message_is_not_visible_yet(url, received):
    SqsQueue(url).put("later", delay_s=0.2)  # SQS delays by whole seconds

    assert received() == []


def test_more_messages_than_a_batch_are_sent_in_several(url):
    count = SqsQueue(url).put_all(SqsMessage(str(number)) for number in range(23))
    waiting = boto3.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])

    assert (count, waiting["Attributes"]["ApproximateNumberOfMessages"]) == (23, "23")


@pytest.mark.parametrize("put", WAYS)
@pytest.mark.parametrize(
    "exc",
    [
        ClientError({"Error": {"Code": "AWS.SimpleQueueService.NonExistentQueue"}}, "SendMessage"),
        EndpointConnectionError(endpoint_url="https://sqs.example.com"),
    ],
)
def test_a_queue_that_does_not_respond_is_unavailable(refusing, put, exc):
    with pytest.raises(Unavailable):
        put(refusing(exc))


def test_a_refused_message_in_a_response_of_200_is_an_error(refusing):
    with pytest.raises(Unavailable):
        refusing({"Failed": [{"Id": "0"}]}).put_all([SqsMessage("x")])
