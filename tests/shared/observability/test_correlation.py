"""One correlation id follows a request through queues, files and the tool runner."""

import json
from types import SimpleNamespace

import boto3
import pytest

from parley.aws.s3 import FileStore
from parley.ids import new_id
from parley.jobs import AccountNotice, OutboxJob, UpkeepQueue, process_jobs
from parley.observability import begin_log_context, current_correlation_id, logger
from parley.observability.invocations import invocation_handler
from parley.tools.invoker import Invoker
from tests.support.queues import message_body

CONTEXT = SimpleNamespace(function_name="f", memory_limit_in_mb=1, invoked_function_arn="arn", aws_request_id="lambda-1")


@pytest.fixture
def queue(aws):
    url = boto3.client("sqs").create_queue(QueueName="correlation")["QueueUrl"]
    yield UpkeepQueue(url)
    boto3.client("sqs").delete_queue(QueueUrl=url)


def records_of(queue):
    """Receive messages as Lambda's event source delivers them."""
    received = boto3.client("sqs").receive_message(QueueUrl=queue._url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
    return [
        {
            "messageId": message["MessageId"],
            "body": message["Body"],
            "messageAttributes": {
                name: {"stringValue": value["StringValue"], "dataType": value["DataType"]}
                for name, value in message.get("MessageAttributes", {}).items()
            },
        }
        for message in received["Messages"]
    ]


def record(job, correlation_id=None):
    attributes = {"correlation_id": {"stringValue": correlation_id, "dataType": "String"}} if correlation_id else {}
    return {"messageId": "1", "body": message_body(job), "messageAttributes": attributes}


NOTICE = AccountNotice("new_api_key", to="a@example.com")


def test_a_job_is_processed_under_its_senders_id(queue):
    begin_log_context("request-1")
    queue.send(NOTICE)
    begin_log_context("lambda-1")
    seen = []
    process_jobs(records_of(queue), handle=lambda job: seen.append(current_correlation_id()))

    assert (seen, current_correlation_id()) == (["request-1"], "lambda-1")


def test_a_job_that_a_job_sends_keeps_the_id(queue):
    process_jobs([record(NOTICE, "request-1")], handle=queue.send)
    seen = []
    process_jobs(records_of(queue), handle=lambda job: seen.append(current_correlation_id()))

    assert seen == ["request-1"]


def test_each_job_of_a_batch_has_its_own_id_and_one_without_gets_the_invocations():
    begin_log_context("lambda-1")
    seen = []
    process_jobs(
        [record(NOTICE, "request-1"), record(NOTICE), record(NOTICE, "request-2")], handle=lambda _: seen.append(current_correlation_id())
    )

    assert seen == ["request-1", "lambda-1", "request-2"]


def test_a_job_of_a_user_is_logged_with_the_user_and_the_next_job_is_not(caplog):
    user_id = new_id()
    process_jobs([record(OutboxJob(user_id, new_id(), "title", None)), record(NOTICE)], handle=lambda _: logger.info("job_skipped"))
    lines = [line for line in logged(caplog) if line["message"] == "job_skipped"]

    assert [line.get("user_id") for line in lines] == [str(user_id), None]


def logged(caplog):
    return [json.loads(line) for line in caplog.handler.lines]


@pytest.fixture
def caplog(caplog):
    """Format each record when it is logged, because the context changes afterwards."""
    lines = []
    formatter, emit = logger.registered_formatter, caplog.handler.emit

    def emit_line(log_record):
        lines.append(formatter.format(log_record))
        emit(log_record)

    caplog.handler.emit, caplog.handler.lines = emit_line, lines
    caplog.set_level("INFO", logger=logger.name)
    return caplog


def test_a_file_remembers_the_request_that_stored_it(environment):
    store = FileStore(environment["PARLEY_FILES_BUCKET"])
    begin_log_context("request-1")
    store.put("correlation/file", b"x", media_type="text/plain")
    form = store.upload("correlation/other", media_type="text/plain", size=1, lifetime_s=60)

    with store.opened("correlation/file") as file:
        assert file.correlation_id == "request-1"
    assert form.fields["x-amz-meta-correlation-id"] == "request-1"


def test_the_tool_runner_receives_the_callers_id(monkeypatch):
    sent = []

    class Client:
        def invoke(self, **arguments):
            sent.append(json.loads(arguments["Payload"]))
            return {"Payload": SimpleNamespace(read=lambda: b'{"ok": true, "content": "x"}')}

    monkeypatch.setattr(Invoker, "_client", lambda self: Client())
    begin_log_context("request-1")
    Invoker("toolrunner").run("clock", {}, user_id=new_id(), timeout_s=1)

    assert sent[0]["correlation_id"] == "request-1"


def test_an_invocation_takes_its_callers_id_and_does_not_show_it_to_the_handler():
    handler = invocation_handler(lambda event, context: (event, current_correlation_id()))

    assert handler({"op": "list", "correlation_id": "request-1"}, CONTEXT) == ({"op": "list"}, "request-1")
    assert handler({"op": "list"}, CONTEXT) == ({"op": "list"}, "lambda-1")


def test_a_bug_in_an_invocation_is_logged_and_raised(caplog):
    def handler(event, context):
        raise KeyError("x")

    with pytest.raises(KeyError):
        invocation_handler(handler)({}, CONTEXT)
    assert [(line["message"], line["correlation_id"]) for line in logged(caplog)] == [("invocation_failed", "lambda-1")]
