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

from local.ports import ReservedPort
from local.services.aws_signature import AwsCredentials, signed_headers
from tests.local.running_emulator import eventually
from tests.support.time_limits import HANG_S

UPLOAD_ORIGIN = "http://localhost:3000"


@dataclass
class AwsProcess:
    """The running process. It is called without boto3, which moto patches in the test process."""

    url: str
    process: subprocess.Popen[bytes]
    credentials: AwsCredentials

    @classmethod
    @contextmanager
    def started(cls, folder: Path, *, credentials: AwsCredentials | None = None, queues_url: str = "http://127.0.0.1:9") -> Iterator[Self]:
        """Run the process until the end of the block, then kill it. Buckets notify the queues at `queues_url`."""
        port, credentials = ReservedPort(), credentials or AwsCredentials.create()
        command = [sys.executable, "-m", "local.services.fake_aws.server", "--port", str(port.number), "--folder", str(folder)]
        options = [f"--upload-origin={UPLOAD_ORIGIN}", f"--queues-url={queues_url}"]
        process = subprocess.Popen([*command, *options], env=os.environ | credentials.environment)
        cloud = cls(f"http://127.0.0.1:{port.number}", process, credentials)
        try:
            assert eventually(cloud._answers)
            yield cloud
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()

    def call(self, service: str, action: str, **fields: Any) -> Any:
        """Call an action of SSM and return the response."""
        headers = {"X-Amz-Target": f"AmazonSSM.{action}", "Content-Type": "application/x-amz-json-1.1"}
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

    def buckets(self) -> Any:
        return self.request("s3", "GET", "/_local/state").json()

    def _answers(self) -> bool:
        try:
            return isinstance(self.buckets(), list)
        except httpx2.ConnectError:
            return False
