"""The AWS stand-in in its own process, called by the services' wire formats."""

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
    """The running process. It is called without boto3, which moto patches in the test process."""

    url: str
    process: subprocess.Popen[bytes]

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> Iterator[Self]:
        """Run the process until the end of the block, then kill it."""
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
        """Call an action of SSM or SQS and return the response."""
        headers = {"X-Amz-Target": f"{_TARGETS[service]}.{action}", "Content-Type": "application/x-amz-json-1.1"}
        return self.request(service, "POST", "/", json=fields, headers=headers).json()

    def request(self, service: str, method: str, path: str, *, headers: dict[str, str] | None = None, **options: Any) -> httpx2.Response:
        """Send a request signed for the service and return the response."""
        scope = f"AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=x"
        return httpx2.request(method, self.url + path, headers={"Authorization": scope} | (headers or {}), **options)

    def state(self) -> Any:
        return httpx2.get(f"{self.url}/_local/state").json()

    def receive(self, queue: str, **more: Any) -> list[Any]:
        """Receive messages from the queue."""
        found: list[Any] = self.call("sqs", "ReceiveMessage", QueueUrl=queue, AttributeNames=["All"], **more).get("Messages", [])
        return found

    def _answers(self) -> bool:
        try:
            return "queues" in self.state()
        except httpx2.ConnectError:
            return False
