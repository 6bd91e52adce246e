"""Queues, buckets and mail together with the functions that use them."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local.queues.server import QueueServer
from local.services.aws_signature import AwsCredentials
from local.template.load import load
from local.triggers.event_sources import MAX_LINEAGE
from tests.local.aws_process import AwsProcess
from tests.local.conftest import STACK
from tests.local.running_emulator import RunningEmulator, eventually

SENDER = "parley@localhost.example"


@dataclass
class StackWithAws:
    """The test stack and its AWS stand-in."""

    running: RunningEmulator
    cloud: AwsProcess

    def use(self, service: str, method: str, **arguments: Any) -> Any:
        """Call an AWS service with boto3 inside a function and return the response."""
        return self.running.invoke("WorkFunction", {"service": service, "method": method, **arguments}).json()

    def order(self, to: Path, **more: Any) -> None:
        """Send a message whose record the function writes to a file."""
        body = json.dumps({"to": str(to), **more})
        sent = self.use("sqs", "send_message", QueueUrl="$QUEUE_URL", MessageBody=body)
        assert "MessageId" in sent, sent

    def queue(self, name: str) -> Any:
        status = self.running.get("/_local/status").json()
        return next(one for one in status["queues"] if one["name"] == name)

    def mail(self, to: str) -> None:
        content = {"Simple": {"Subject": {"Data": "Your code"}, "Body": {"Text": {"Data": f"{to}: 123 ä"}, "Html": {"Data": "<p>123</p>"}}}}
        sent = self.use("sesv2", "send_email", FromEmailAddress=SENDER, Destination={"ToAddresses": [to]}, Content=content)
        assert "MessageId" in sent, sent


def records(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture(scope="module")
def stacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackWithAws]:
    data, credentials = tmp_path_factory.mktemp("aws"), AwsCredentials.create()
    queue_server = QueueServer(credentials)
    with AwsProcess.started(data, credentials=credentials, queues_url=queue_server.url) as cloud:
        stack = load(STACK, overrides={"MailFrom": SENDER}, queues_url=queue_server.url)
        logs = tmp_path_factory.mktemp("logs")
        access: dict[str, Any] = {"aws_url": cloud.url, "aws_credentials": credentials, "queue_server": queue_server}
        with RunningEmulator.started(stack, logs=logs, mails=data / "mail", **access) as running:
            yield StackWithAws(running, cloud)


def test_a_function_gets_what_another_sends(stacked: StackWithAws, tmp_path: Path) -> None:
    stacked.order(tmp_path / "records")

    assert eventually(lambda: records(tmp_path / "records"))
    (record,) = records(tmp_path / "records")
    assert record["eventSourceARN"] == "arn:aws:sqs:us-east-1:123456789012:WorkQueue"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert eventually(lambda: stacked.queue("WorkQueue")["in_flight"] == 0)
    assert "queue WorkQueue  WorkFunction  1 message  done" in stacked.running.terminal.getvalue()


def test_a_function_that_triggers_itself_is_stopped_as_on_lambda(stacked: StackWithAws, tmp_path: Path) -> None:
    before = stacked.queue("DeadQueue")["visible"]
    stacked.order(tmp_path / "records", repeats=True)

    assert eventually(lambda: stacked.queue("DeadQueue")["visible"] > before)
    # A busy machine may process a message twice, but no chain is longer.
    earlier = [record["attributes"].get("AWSTraceHeader", ":0").rpartition(":")[2] for record in records(tmp_path / "records")]
    assert max(map(int, earlier)) == MAX_LINEAGE - 1
    assert "RecursionStopped: WorkFunction" in stacked.running.terminal.getvalue()


def test_what_fails_comes_again_and_ends_with_the_dead_letters(stacked: StackWithAws, tmp_path: Path) -> None:
    before = stacked.queue("DeadQueue")["visible"]
    stacked.order(tmp_path / "records", fails=True)

    assert eventually(lambda: stacked.queue("DeadQueue")["visible"] == before + 1)
    assert [one["attributes"]["ApproximateReceiveCount"] for one in records(tmp_path / "records")] == ["1", "2"]
    assert "WorkFunction  1 message  1 failed" in stacked.running.terminal.getvalue()


def test_a_function_that_raises_is_shown_with_its_reason(stacked: StackWithAws) -> None:
    stacked.use("sqs", "send_message", QueueUrl="$QUEUE_URL", MessageBody="not JSON")

    assert eventually(lambda: "1 failed: JSONDecodeError" in stacked.running.terminal.getvalue())


def test_a_changed_stack_is_read_on(stacked: StackWithAws, tmp_path: Path) -> None:
    emulator = stacked.running.emulator
    loop = emulator._running[0].get_loop()
    loop.call_soon_threadsafe(emulator.swap, emulator.stack)
    stacked.order(tmp_path / "records")

    assert eventually(lambda: records(tmp_path / "records"))


def test_objects_are_read_and_written_by_signed_addresses(stacked: StackWithAws) -> None:
    stacked.use("s3", "put_object", Bucket="$BUCKET", Key="a/b.txt", Body="hello")
    found = httpx2.get(stacked.use("s3", "presign_get", Key="a/b.txt"))
    form = stacked.use("s3", "presign_post", Key="in/${filename}")
    posted = httpx2.post(form["url"], data=form["fields"], files={"file": ("c.txt", b"posted")})

    assert found.text == "hello"
    assert posted.status_code == 204
    assert stacked.cloud.request("s3", "GET", "/parley-filesbucket/in/c.txt").text == "posted"


def test_a_queue_is_told_of_new_objects_under_its_prefix(stacked: StackWithAws) -> None:
    before = stacked.queue("NewsQueue")["visible"]
    for key in ("silent/a.txt", "told/b.txt"):
        stacked.use("s3", "put_object", Bucket="$BUCKET", Key=key, Body="news")

    assert eventually(lambda: stacked.queue("NewsQueue")["visible"] == before + 1)


def test_a_mail_is_shown_and_listed_newest_first(stacked: StackWithAws) -> None:
    stacked.mail("one@example.com")
    stacked.mail("two@example.com")
    listed = stacked.running.get("/_local/mail").json()["items"]

    assert [one["to"] for one in listed[:2]] == [["two@example.com"], ["one@example.com"]]
    assert listed[1].keys() == {"id", "at", "from", "to", "subject", "text"}
    assert (listed[1]["from"], listed[1]["subject"], listed[1]["text"]) == (SENDER, "Your code", "one@example.com: 123 ä")
    assert eventually(lambda: "mail │ one@example.com: 123 ä" in stacked.running.terminal.getvalue())


def test_mails_are_found_by_their_recipient(stacked: StackWithAws) -> None:
    stacked.mail("three@example.com")
    stacked.mail("four@example.com")
    found = stacked.running.get("/_local/mail", params={"to": "Three@example.com"}).json()["items"]

    assert [one["to"] for one in found] == [["three@example.com"]]


def test_a_mailbox_is_emptied(stacked: StackWithAws) -> None:
    stacked.mail("five@example.com")

    assert stacked.running.client.delete("/_local/mail").status_code == 204
    assert stacked.running.get("/_local/mail").json() == {"items": []}


def test_a_raw_mail_is_listed_as_a_person_reads_it(stacked: StackWithAws) -> None:
    raw = f"From: {SENDER}\nTo: six@example.com\nSubject: Raw\n\nthe text\n"
    sent = stacked.cloud.request(
        "ses", "POST", "/v2/email/outbound-emails", json={"Content": {"Raw": {"Data": base64.b64encode(raw.encode()).decode()}}}
    )
    (found,) = stacked.running.get("/_local/mail", params={"to": "six@example.com"}).json()["items"]

    assert sent.status_code == 200
    assert (found["from"], found["subject"], found["text"]) == (SENDER, "Raw", "the text\n")


def test_a_sender_that_is_not_the_stacks_is_refused(stacked: StackWithAws) -> None:
    content = {"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}}
    refused = stacked.use(
        "sesv2", "send_email", FromEmailAddress="x@example.com", Destination={"ToAddresses": ["y@z.org"]}, Content=content
    )

    assert "not verified" in refused["errorMessage"]


def test_the_mailbox_is_closed_to_web_pages(stacked: StackWithAws) -> None:
    assert stacked.running.get("/_local/mail", headers={"Origin": "http://evil.example"}).status_code == 403
