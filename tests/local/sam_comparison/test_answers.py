"""One form for the results of `parley invoke` and `sam local invoke`."""

import pytest

from local.sam_comparison.answers import FunctionAnswer, read_answer
from local.sam_comparison.process import ProcessFailed
from local.sam_comparison.sam_cli import read_result

BUFFERED = {
    "statusCode": 200,
    "headers": {"content-type": "text/event-stream"},
    "multiValueHeaders": {"vary": ["accept", "origin"]},
    "body": "event: ping\n\n",
    "isBase64Encoded": False,
}
STREAMED = {
    "statusCode": 200,
    "headers": {"Content-Type": "text/event-stream"},
    "multiValueHeaders": {"Vary": ["accept", "origin"]},
    "body": "event: ping\n\n",
}


def test_a_streamed_answer_reads_like_the_buffered_one():
    assert read_answer(STREAMED) == read_answer(BUFFERED)


def test_a_body_in_base64_is_decoded():
    answer = read_answer({"statusCode": 201, "headers": None, "body": "eyJvayI6dHJ1ZX0=", "isBase64Encoded": True})

    assert answer == FunctionAnswer("201", '{"ok":true}')


def test_a_failure_is_its_type_and_message_wherever_it_happened():
    here = read_answer({"errorMessage": "Unauthorized", "errorType": "Exception", "requestId": "1", "stackTrace": ["/here/app.py"]})
    there = read_answer({"errorMessage": "Unauthorized", "errorType": "Exception", "requestId": "2", "stackTrace": ["/var/task/app.py"]})

    assert here == there == FunctionAnswer("failed", "Exception: Unauthorized")


def test_a_result_without_a_status_code_is_a_value():
    assert read_answer({"revision": "0001"}) == FunctionAnswer("value", '{"revision": "0001"}')


def test_sams_last_line_is_the_result():
    assert read_result('a function printed this\n{"statusCode": 204, "headers": {}, "body": ""}\n', "") == FunctionAnswer("204", "")


@pytest.mark.parametrize("written", ["", "\n", "no result"])
def test_sam_without_a_result_tells_its_log(written):
    with pytest.raises(ProcessFailed, match="the container ended"):
        read_result(written, "the container ended")
