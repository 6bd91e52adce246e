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
from local.services.aws_signature import AwsCredentials, signed_headers
from tests.local.running_emulator import eventually
from tests.support.time_limits import HANG_S

_TARGETS = {"ssm": "AmazonSSM", "sqs": "AmazonSQS"}
UPLOAD_ORIGIN = "http://localhost:3000"


@dataclass
class AwsProcess:
    """The running process. It is called without boto3, which moto patches in the test process."""

    url: str
    process: subprocess.Popen[bytes]
    credentials: AwsCredentials

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> Iterator[Self]:
        """Run the process until the end of the block, then kill it."""
        port, credentials = free_port(), AwsCredentials.create()
        command = [sys.executable, "-m", "local.services.fake_aws.server", "--port", str(port), "--folder", str(folder)]
        process = subprocess.Popen([*command, f"--upload-origin={UPLOAD_ORIGIN}"], env=os.environ | credentials.environment)
        cloud = cls(f"http://127.0.0.1:{port}", process, credentials)
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
        request = httpx2.Request(method, self.url + path, headers=headers, **options)
        # The signature covers the headers that do not depend on the client library.
        covered = {"content-type", *(headers or {})}
        signed = {name: value for name, value in request.headers.items() if name in {one.lower() for one in covered}}
        request.headers |= signed_headers(
            self.credentials, service=service, method=method, url=str(request.url), body=request.read(), headers=signed
        )
        with httpx2.Client(trust_env=False, timeout=HANG_S) as client:
            return client.send(request)

    def state(self) -> Any:
        return self.request("sqs", "GET", "/_local/state").json()

    def receive(self, queue: str, **more: Any) -> list[Any]:
        """Receive messages from the queue."""
        found: list[Any] = self.call("sqs", "ReceiveMessage", QueueUrl=queue, AttributeNames=["All"], **more).get("Messages", [])
        return found

    def _answers(self) -> bool:
        try:
            return "queues" in self.state()
        except httpx2.ConnectError:
            return False
