"""The AWS stand-in, and its state after a restart."""

import io
import stat
from pathlib import Path
from threading import RLock, Thread
from typing import Any

import pytest

from local.services.fake_aws.s3 import S3Snapshot
from local.services.fake_aws.ses import SesSnapshot
from local.services.fake_aws.snapshot import ServiceSnapshot, SnapshotFolder, StoredItem
from local.services.fake_aws.sqs import SqsSnapshot
from local.services.fake_aws.ssm import SsmSnapshot
from tests.local.aws_process import AwsProcess
from tests.local.running_emulator import eventually
from tests.support.time_limits import HANG_S


def put(cloud: AwsProcess, name: str, value: str, **more: Any) -> None:
    cloud.call("ssm", "PutParameter", Name=name, Value=value, Type="SecureString", **more)


def make_queue(cloud: AwsProcess, name: str, **attributes: str) -> None:
    cloud.call("sqs", "CreateQueue", QueueName=name, Attributes=attributes)


def send(cloud: AwsProcess, queue: str, body: str, **more: Any) -> None:
    assert "MessageId" in cloud.call("sqs", "SendMessage", QueueUrl=queue, MessageBody=body, **more)


def test_parameters_survive_a_kill(tmp_path: Path) -> None:
    with AwsProcess.started(tmp_path) as cloud:
        put(cloud, "/p/key", "one", Tags=[{"Key": "a", "Value": "b"}])
        put(cloud, "/p/key", "two", Overwrite=True)
        put(cloud, "/p/gone", "x")
        cloud.call("ssm", "DeleteParameter", Name="/p/gone")

    with AwsProcess.started(tmp_path) as cloud:
        found = cloud.call("ssm", "GetParametersByPath", Path="/p", WithDecryption=True)["Parameters"]
        history = cloud.call("ssm", "GetParameterHistory", Name="/p/key", WithDecryption=True)["Parameters"]
        tags = cloud.call("ssm", "ListTagsForResource", ResourceType="Parameter", ResourceId="/p/key")["TagList"]

    assert [(one["Name"], one["Value"], one["Type"], one["Version"]) for one in found] == [("/p/key", "two", "SecureString", 2)]
    assert [one["Value"] for one in history] == ["one", "two"]
    assert tags == [{"Key": "a", "Value": "b"}]
    assert stat.S_IMODE((tmp_path / "ssm.json").stat().st_mode) == 0o600


def test_messages_survive_a_kill_in_their_order(tmp_path: Path) -> None:
    with AwsProcess.started(tmp_path) as cloud:
        make_queue(cloud, "q", VisibilityTimeout="0")
        for body in ("one", "gone", "two"):
            send(cloud, "q", body, MessageAttributes={"b": {"DataType": "Binary", "BinaryValue": "AAE="}})
        gone = next(one for one in cloud.receive("q", MaxNumberOfMessages=10) if one["Body"] == "gone")
        cloud.call("sqs", "DeleteMessage", QueueUrl="q", ReceiptHandle=gone["ReceiptHandle"])

    with AwsProcess.started(tmp_path) as cloud:
        found = cloud.receive("q", MaxNumberOfMessages=10, MessageAttributeNames=["All"])

    assert [one["Body"] for one in found] == ["one", "two"]
    assert [one["Attributes"]["ApproximateReceiveCount"] for one in found] == ["2", "2"]
    assert found[0]["MessageAttributes"]["b"]["BinaryValue"] == "AAE="


def test_messages_in_flight_and_delayed_ones_are_so_after_a_kill(tmp_path: Path) -> None:
    with AwsProcess.started(tmp_path) as cloud:
        make_queue(cloud, "q", VisibilityTimeout="600")
        send(cloud, "q", "in flight")
        handle = cloud.receive("q")[0]["ReceiptHandle"]
        send(cloud, "q", "delayed", DelaySeconds=600)

    with AwsProcess.started(tmp_path) as cloud:
        (queue,) = cloud.state()["queues"]
        assert (queue["visible"], queue["in_flight"], queue["delayed"]) == (0, 1, 1)

        cloud.call("sqs", "DeleteMessage", QueueUrl="q", ReceiptHandle=handle)
        assert cloud.state()["queues"][0]["in_flight"] == 0


def test_a_message_that_was_received_too_often_is_a_dead_letter_and_stays_one(tmp_path: Path) -> None:
    arn = "arn:aws:sqs:us-east-1:123456789012:dead"
    with AwsProcess.started(tmp_path) as cloud:
        make_queue(cloud, "dead")
        make_queue(cloud, "q", VisibilityTimeout="0", RedrivePolicy=f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": 1}}')
        send(cloud, "q", "bad")
        assert len(cloud.receive("q")) == 1
        assert cloud.receive("q") == []

    with AwsProcess.started(tmp_path) as cloud:
        queues = {one["name"]: one for one in cloud.state()["queues"]}
        assert queues["q"]["dead_letters"] == "dead"
        assert [one["Body"] for one in cloud.receive("dead")] == ["bad"]


def test_objects_survive_a_kill(tmp_path: Path) -> None:
    with AwsProcess.started(tmp_path) as cloud:
        cloud.request("s3", "PUT", "/files")
        headers = {"Content-Type": "text/plain", "x-amz-meta-from": "me"}
        cloud.request("s3", "PUT", "/files/a/%C3%BC", content=b"one\ntwo", headers=headers)
        cloud.request("s3", "PUT", "/files/gone", content=b"x")
        cloud.request("s3", "DELETE", "/files/gone")

    with AwsProcess.started(tmp_path) as cloud:
        found = cloud.request("s3", "GET", "/files/a/%C3%BC")
        assert (found.content, found.headers["content-type"], found.headers["x-amz-meta-from"]) == (b"one\ntwo", "text/plain", "me")
        assert cloud.request("s3", "GET", "/files/gone").status_code == 404
        assert cloud.state()["buckets"] == [{"name": "files", "objects": 1, "bytes": 7}]


def test_who_may_send_mail_survives_a_kill(tmp_path: Path) -> None:
    mail = {"FromEmailAddress": "me@example.com", "Destination": {"ToAddresses": ["you@example.com"]}}
    mail |= {"Content": {"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}}}
    with AwsProcess.started(tmp_path) as cloud:
        assert cloud.request("ses", "POST", "/v2/email/outbound-emails", json=mail).status_code == 400
        cloud.request("ses", "POST", "/v2/email/identities", json={"EmailIdentity": "me@example.com"})

    with AwsProcess.started(tmp_path) as cloud:
        assert cloud.request("ses", "POST", "/v2/email/outbound-emails", json=mail).status_code == 200
    assert len(list((tmp_path / "mail").glob("*.json"))) == 1


def test_no_message_is_lost_while_others_are_deleted(tmp_path: Path) -> None:
    with AwsProcess.started(tmp_path) as cloud:
        make_queue(cloud, "q")
        senders = [Thread(target=lambda: [send(cloud, "q", "x") for _ in range(15)]) for _ in range(3)]
        for sender in senders:
            sender.start()
        deleted = 0

        def delete() -> bool:
            nonlocal deleted
            for one in cloud.receive("q", MaxNumberOfMessages=10, WaitTimeSeconds=1):
                cloud.call("sqs", "DeleteMessage", QueueUrl="q", ReceiptHandle=one["ReceiptHandle"])
                deleted += 1
            return deleted == 45

        assert eventually(delete)


def test_who_waits_for_a_message_keeps_nobody_else_from_calling(tmp_path: Path) -> None:
    with AwsProcess.started(tmp_path) as cloud:
        make_queue(cloud, "q")
        found: list[Any] = []
        waiting = Thread(target=lambda: found.extend(cloud.receive("q", WaitTimeSeconds=20)))
        waiting.start()
        send(cloud, "q", "at last")
        waiting.join(HANG_S)

    assert [one["Body"] for one in found] == ["at last"]


def request(service: str, target: str = "", method: str = "POST", path: str = "/") -> dict[str, Any]:
    scope = f"AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=x"
    return {
        "HTTP_AUTHORIZATION": scope,
        "HTTP_X_AMZ_TARGET": target,
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "wsgi.input": io.BytesIO(),
    }


UNUSED = Path("unused")
SHELVES: dict[str, ServiceSnapshot] = {"ssm": SsmSnapshot(UNUSED), "s3": S3Snapshot(UNUSED), "ses": SesSnapshot(UNUSED)}


@pytest.mark.parametrize(
    ("shelf", "environ", "changes"),
    [
        ("ssm", request("ssm", "AmazonSSM.GetParameter"), False),
        ("ssm", request("ssm", "AmazonSSM.DescribeParameters"), False),
        ("ssm", request("ssm", "AmazonSSM.PutParameter"), True),
        ("ssm", request("ssm", "AmazonSSM.LabelParameterVersion"), True),
        ("ssm", request("dynamodb", "DynamoDB_20120810.PutItem"), False),
        ("s3", request("s3", method="GET"), False),
        ("s3", request("s3", method="PUT"), True),
        ("s3", {"REQUEST_METHOD": "POST", "PATH_INFO": "/bucket"}, True),
        ("s3", request("sqs", "AmazonSQS.SendMessage"), False),
        ("ses", request("ses", path="/v2/email/identities"), True),
        ("ses", request("ses", path="/v2/email/outbound-emails"), False),
    ],
)
def test_only_what_changes_something_is_written(shelf: str, environ: dict[str, Any], changes: bool) -> None:
    assert SHELVES[shelf].changes(environ) is changes


def test_receiving_is_a_change_and_counting_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moto.sqs.models.Condition", None)  # the snapshot replaces it by a condition on its lock
    shelf = SqsSnapshot(UNUSED, RLock())

    assert shelf.changes(request("sqs", "AmazonSQS.ReceiveMessage"))
    assert shelf.changes(request("s3", method="PUT"))
    assert not shelf.changes(request("sqs", "AmazonSQS.GetQueueAttributes"))


def test_a_cabinet_writes_nothing_twice(tmp_path: Path) -> None:
    files, written = SnapshotFolder(tmp_path), []

    def thing(state: int) -> StoredItem:
        return StoredItem(state, lambda: written.append(state) or b"%d" % state)  # type: ignore[func-returns-value]

    files.replace_all({"a": thing(1), "b": thing(2)})
    files.replace_all({"a": thing(1), "b": thing(3)})
    files.replace_all({"b": thing(3)})
    assert written == [1, 2, 3]
    assert list(files.read()) == [("b", b"3")]
