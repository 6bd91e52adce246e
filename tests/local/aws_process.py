"""The emulator's AWS services in their own process, called by their wire formats."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx2

from local.ports import free_port
from tests.local.running_emulator import eventually

_TARGETS = {"ssm": "AmazonSSM", "sqs": "AmazonSQS"}


@dataclass
class AwsProcess:
    """The running process; the test process's own boto3 is under moto already."""

    url: str
    process: subprocess.Popen[bytes]

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> Iterator[Self]:
        """Run the process until the end, which is a kill."""
        port = free_port()
        process = subprocess.Popen([sys.executable, "-m", "local.services.fake_aws.server", "--port", str(port), "--folder", str(folder)])
        cloud = cls(f"http://127.0.0.1:{port}", process)
        try:
            assert eventually(cloud._answers)
            yield cloud
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()

    def call(self, service: str, action: str, **fields: Any) -> Any:
        """Return what a call of SSM or SQS answers."""
        headers = {"X-Amz-Target": f"{_TARGETS[service]}.{action}", "Content-Type": "application/x-amz-json-1.1"}
        return self.request(service, "POST", "/", json=fields, headers=headers).json()

    def request(self, service: str, method: str, path: str, *, headers: dict[str, str] | None = None, **options: Any) -> httpx2.Response:
        """Return the answer to a request that is signed for the service."""
        scope = f"AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=x"
        return httpx2.request(method, self.url + path, headers={"Authorization": scope} | (headers or {}), **options)

    def state(self) -> Any:
        return httpx2.get(f"{self.url}/_local/state").json()

    def receive(self, queue: str, **more: Any) -> list[Any]:
        """Return the messages that the queue gives."""
        found: list[Any] = self.call("sqs", "ReceiveMessage", QueueUrl=queue, AttributeNames=["All"], **more).get("Messages", [])
        return found

    def _answers(self) -> bool:
        try:
            return "queues" in self.state()
        except httpx2.ConnectError:
            return False
