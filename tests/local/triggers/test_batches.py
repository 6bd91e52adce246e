"""The event for a batch, and the meaning of the function's result."""

import json
from dataclasses import replace
from typing import Any

import pytest

from local.runtime.outcome import Failure, HandlerResult, Stream
from local.template.stack import EventSource
from local.triggers import event_sources

SOURCE = EventSource(name="s", function="Work", queue="q", reports_failures=True)
MESSAGES: list[dict[str, Any]] = [{"MessageId": one, "ReceiptHandle": f"h{one}", "Body": "{}", "MD5OfBody": "m"} for one in ("a", "b")]


def failed(answer: str) -> set[str]:
    return event_sources.failed_ids(SOURCE, MESSAGES, HandlerResult(answer.encode()))


@pytest.mark.parametrize("answer", ["null", "{}", '{"batchItemFailures": []}', '{"batchItemFailures": null}', '{"other": 1}'])
def test_an_answer_that_names_no_failures_means_that_all_is_done(answer: str) -> None:
    assert failed(answer) == set()


def test_only_the_named_messages_failed() -> None:
    assert failed('{"batchItemFailures": [{"itemIdentifier": "b"}]}') == {"b"}


@pytest.mark.parametrize("item", ['{"itemIdentifier": ""}', '{"itemIdentifier": null}', '{"id": "a"}', '{"itemIdentifier": "z"}', "1"])
def test_a_malformed_answer_means_that_all_failed(item: str) -> None:
    assert failed(f'{{"batchItemFailures": [{item}]}}') == {"a", "b"}


@pytest.mark.parametrize("answer", ["[1]", '"text"', "{", '{"batchItemFailures": 1}'])
def test_an_answer_of_another_kind_means_that_all_failed(answer: str) -> None:
    assert failed(answer) == {"a", "b"}


def test_a_function_that_fails_fails_all() -> None:
    failure = Failure("ValueError", "no")

    assert event_sources.failed_ids(SOURCE, MESSAGES, failure) == {"a", "b"}
    assert event_sources.batch_failure(failure) == "ValueError: no"


def test_a_function_that_streams_fails_all() -> None:
    assert event_sources.failed_ids(SOURCE, MESSAGES, Stream("text/plain")) == {"a", "b"}


def test_without_partial_answers_any_answer_means_that_all_is_done() -> None:
    answer = HandlerResult(b'{"batchItemFailures": [{"itemIdentifier": "b"}]}')

    assert event_sources.failed_ids(replace(SOURCE, reports_failures=False), MESSAGES, answer) == set()


def test_a_record_has_lambdas_fields() -> None:
    attributes = {"n": {"DataType": "Number", "StringValue": "1"}, "b": {"DataType": "Binary", "BinaryValue": "AAE="}}
    message = MESSAGES[0] | {"Attributes": {"ApproximateReceiveCount": "1"}, "MessageAttributes": attributes, "MD5OfMessageAttributes": "x"}
    (record,) = json.loads(event_sources.batch_event(SOURCE, [message]))["Records"]

    assert record == {
        "messageId": "a",
        "receiptHandle": "ha",
        "body": "{}",
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {
            "n": {"stringValue": "1", "dataType": "Number", "stringListValues": [], "binaryListValues": []},
            "b": {"binaryValue": "AAE=", "dataType": "Binary", "stringListValues": [], "binaryListValues": []},
        },
        "md5OfBody": "m",
        "md5OfMessageAttributes": "x",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:q",
        "awsRegion": "us-east-1",
    }
