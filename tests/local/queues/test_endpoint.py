"""The queues' endpoint in its own process: what survives a kill, and who may call it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, Self

import httpx2
import pytest

from local.ports import free_port
from local.services.aws_signature import AwsCredentials, signed_headers
from tests.local.running_emulator import eventually
from tests.support.time_limits import HANG_S

FOREIGN = "http://evil.example"
_SERVE = """
import asyncio, sys
from pathlib import Path
from local.queues.server import QueueServer
from local.queues.service import QueueService
from local.services.aws_signature import AwsCredentials

async def main(folder, port, *credentials):
    server = QueueServer(AwsCredentials(*credentials), port=int(port))
    await server.start(QueueService(Path(folder)))
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


@dataclass
class QueueProcess:
    """The running endpoint. It is called without boto3, so that a test may send what an SDK never would."""

    url: str
    credentials: AwsCredentials

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> Iterator[Self]:
        """Run the process until the end of the block, then kill it."""
        port, credentials = free_port(), AwsCredentials.create()
        command = [sys.executable, "-c", _SERVE, str(folder), str(port), *credentials.environment.values()]
        process = subprocess.Popen(command)
        queues = cls(f"http://127.0.0.1:{port}", credentials)
        try:
            assert eventually(queues._answers)
            yield queues
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()

    def post(
        self, action: str, *, credentials: AwsCredentials | None = None, signed_body: bytes | None = None, url: str = "", **fields: Any
    ) -> httpx2.Response:
        """Call an operation. The signature covers `signed_body` (default: the body) and `url` (default: the endpoint's)."""
        extra = fields.pop("headers", {})
        headers = {"X-Amz-Target": f"AmazonSQS.{action}", "Content-Type": "application/x-amz-json-1.0"}
        body = json.dumps(fields).encode()
        signed = signed_headers(
            credentials or self.credentials,
            service="sqs",
            method="POST",
            url=f"{url or self.url}/",
            body=body if signed_body is None else signed_body,
            headers=headers,
        )
        with httpx2.Client(trust_env=False, timeout=HANG_S) as client:
            return client.post(f"{self.url}/", content=body, headers=signed | extra)

    def call(self, action: str, **fields: Any) -> Any:
        return self.post(action, **fields).json()

    def make(self, name: str, **attributes: str) -> None:
        assert "QueueUrl" in self.call("CreateQueue", QueueName=name, Attributes=attributes)

    def send(self, queue: str, body: str, **more: Any) -> None:
        assert "MessageId" in self.call("SendMessage", QueueUrl=queue, MessageBody=body, **more)

    def receive(self, queue: str, **more: Any) -> list[Any]:
        found: list[Any] = self.call("ReceiveMessage", QueueUrl=queue, AttributeNames=["All"], **more).get("Messages", [])
        return found

    def count(self, queue: str, kind: str) -> str:
        answer = self.call("GetQueueAttributes", QueueUrl=queue, AttributeNames=["All"])
        return str(answer["Attributes"][f"ApproximateNumberOfMessages{kind}"])

    def _answers(self) -> bool:
        try:
            return self.post("ListQueues").status_code == 200
        except httpx2.ConnectError:
            return False


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueProcess]:
    with QueueProcess.started(tmp_path_factory.mktemp("queues")) as queues:
        queues.make("q")
        yield queues


def test_messages_survive_a_kill_in_their_order(tmp_path: Path) -> None:
    with QueueProcess.started(tmp_path) as queues:
        queues.make("q", VisibilityTimeout="0")
        for body in ("one", "gone", "two"):
            queues.send("q", body, MessageAttributes={"b": {"DataType": "Binary", "BinaryValue": "AAE="}})
        gone = next(one for one in queues.receive("q", MaxNumberOfMessages=10) if one["Body"] == "gone")
        queues.call("DeleteMessage", QueueUrl="q", ReceiptHandle=gone["ReceiptHandle"])

    with QueueProcess.started(tmp_path) as queues:
        found = queues.receive("q", MaxNumberOfMessages=10, MessageAttributeNames=["All"])

    assert [one["Body"] for one in found] == ["one", "two"]
    assert [one["Attributes"]["ApproximateReceiveCount"] for one in found] == ["2", "2"]
    assert found[0]["MessageAttributes"]["b"]["BinaryValue"] == "AAE="


def test_messages_in_flight_and_delayed_ones_are_so_after_a_kill(tmp_path: Path) -> None:
    with QueueProcess.started(tmp_path) as queues:
        queues.make("q", VisibilityTimeout="600")
        queues.send("q", "in flight")
        handle = queues.receive("q")[0]["ReceiptHandle"]
        queues.send("q", "delayed", DelaySeconds=600)

    with QueueProcess.started(tmp_path) as queues:
        assert [queues.count("q", kind) for kind in ("", "NotVisible", "Delayed")] == ["0", "1", "1"]
        assert queues.receive("q") == []

        queues.call("DeleteMessage", QueueUrl="q", ReceiptHandle=handle)
        assert queues.count("q", "NotVisible") == "0"


def test_a_dead_letter_stays_one_after_a_kill(tmp_path: Path) -> None:
    policy = '{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:dead", "maxReceiveCount": 1}'
    with QueueProcess.started(tmp_path) as queues:
        queues.make("dead")
        queues.make("q", VisibilityTimeout="0", RedrivePolicy=policy)
        queues.send("q", "bad")
        assert len(queues.receive("q")) == 1
        assert queues.receive("q") == []

    with QueueProcess.started(tmp_path) as queues:
        assert [one["Body"] for one in queues.receive("dead")] == ["bad"]


def test_only_the_owner_reads_the_messages_file(tmp_path: Path) -> None:
    with QueueProcess.started(tmp_path) as queues:
        queues.make("q")
        queues.send("q", "x")

        assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


def test_no_message_is_lost_while_others_are_deleted(tmp_path: Path) -> None:
    with QueueProcess.started(tmp_path) as queues:
        queues.make("q")
        senders = [Thread(target=lambda: [queues.send("q", "x") for _ in range(15)]) for _ in range(3)]
        for sender in senders:
            sender.start()
        deleted = 0

        def delete() -> bool:
            nonlocal deleted
            for one in queues.receive("q", MaxNumberOfMessages=10, WaitTimeSeconds=1):
                queues.call("DeleteMessage", QueueUrl="q", ReceiptHandle=one["ReceiptHandle"])
                deleted += 1
            return deleted == 45

        assert eventually(delete)


def test_who_waits_for_a_message_keeps_nobody_else_from_calling(endpoint: QueueProcess) -> None:
    endpoint.make("quiet")
    found: list[Any] = []
    waiting = Thread(target=lambda: found.extend(endpoint.receive("quiet", WaitTimeSeconds=20)))
    waiting.start()
    endpoint.send("quiet", "at last")
    waiting.join(HANG_S)

    assert [one["Body"] for one in found] == ["at last"]


@pytest.mark.parametrize("page", [{"Origin": FOREIGN}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_web_page_is_refused_even_with_a_valid_signature(endpoint: QueueProcess, page: dict[str, str]) -> None:
    answer = endpoint.post("SendMessage", QueueUrl="q", MessageBody="x", headers=page)

    assert (answer.status_code, answer.json()["__type"]) == (403, "AccessDeniedException")
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1.evil.example:{port}", "localhost:1"])
def test_a_host_name_that_is_rebound_to_this_machine_is_refused(endpoint: QueueProcess, host: str) -> None:
    host = host.format(port=endpoint.url.rpartition(":")[2])
    answer = endpoint.post("ListQueues", url=f"http://{host}", headers={"Host": host})

    assert (answer.status_code, "does not name this server" in answer.text) == (403, True)


@pytest.mark.parametrize(
    "credentials",
    [AwsCredentials("local", "local"), AwsCredentials("{own}", "guessed"), AwsCredentials.create()],
    ids=["old", "id", "other"],
)
def test_credentials_of_another_run_open_nothing(endpoint: QueueProcess, credentials: AwsCredentials) -> None:
    own = endpoint.credentials.aws_access_key_id
    guessed = AwsCredentials(credentials.aws_access_key_id.format(own=own), credentials.aws_secret_access_key)

    assert endpoint.post("ListQueues", credentials=guessed).status_code == 403


def test_a_signature_covers_the_body(endpoint: QueueProcess) -> None:
    assert endpoint.post("SendMessage", signed_body=b"{}", QueueUrl="q", MessageBody="x").status_code == 403


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_an_unsigned_request_is_refused(endpoint: QueueProcess, method: str) -> None:
    answer = httpx2.request(method, f"{endpoint.url}/")

    assert (answer.status_code, "aws-credentials" in answer.text) == (403, True)


@pytest.mark.parametrize(("body", "kind"), [(b"{", "SerializationException"), (b"[]", "SerializationException")])
def test_a_body_that_is_no_object_is_refused(endpoint: QueueProcess, body: bytes, kind: str) -> None:
    headers = {"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0"}
    url = f"{endpoint.url}/"
    signed = signed_headers(endpoint.credentials, service="sqs", method="POST", url=url, body=body, headers=headers)
    answer = httpx2.post(url, content=body, headers=signed)

    assert (answer.status_code, answer.json()["__type"]) == (400, f"com.amazonaws.sqs#{kind}")


def test_an_operation_that_the_emulator_lacks_is_named_as_such(endpoint: QueueProcess) -> None:
    answer = endpoint.post("StartMessageMoveTask")

    assert (answer.status_code, answer.json()["__type"]) == (400, "com.amazonaws.sqs#UnsupportedOperation")
