"""The stand-in for AWS: moto in a child process, its client, and the creation of the resources that a stack needs."""

import asyncio
import importlib
import json
import os
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Collection
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local import processes
from local.data_dir import DataDir
from local.ports import ReservedPort
from local.processes import ChildProcess
from local.server import HOST
from local.services.aws_signature import AwsCredentials, signed_headers
from local.services.fake_aws.inspection_paths import STATE_PATH
from local.services.supervisor import ServiceFailed, SupervisedProcess, accepts_connections
from local.template.stack import Stack, StackBucket

if TYPE_CHECKING:
    import httpx2

_CHECKOUT = Path(__file__).resolve().parents[2]
_TIMEOUT_S = 30.0


class MotoServer:
    """The process of the AWS stand-in, on a free loopback port unless a host or a port is given.

    It accepts requests that are signed with `credentials`, and upload forms from pages of `upload_origins`. Buckets send
    their notifications to the queues at `queues_url`.
    """

    def __init__(
        self,
        folder: DataDir,
        *,
        credentials: AwsCredentials,
        upload_origins: Collection[str],
        queues_url: str,
        report: Callable[[str], None],
        host: str = HOST,
        port: int | None = None,
    ) -> None:
        self._folder = folder.aws
        self._credentials = credentials
        self._upload_origins = upload_origins
        self._queues_url = queues_url
        self._host = host
        self._reserved = ReservedPort()
        self.port = port or self._reserved.number
        self._process = SupervisedProcess("moto", launch=self._launch, ready=self._is_ready, log=folder.logs / "aws.log", report=report)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        await self._process.start()

    async def stop(self) -> None:
        await self._process.stop()

    def status(self) -> dict[str, Any]:
        return {**self._process.status(), "port": self.port}

    async def _launch(self) -> ChildProcess:
        command = (sys.executable, "-m", "local.services.fake_aws.server", "--port", str(self.port), "--folder", str(self._folder))
        options = [f"--upload-origin={origin}" for origin in self._upload_origins]
        options += [f"--queues-url={self._queues_url}", f"--host={self._host}"]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull}
        # In the environment, not in the command line, which every user of this machine can read.
        environment |= self._credentials.environment
        return await processes.start_process(*command, *options, cwd=_CHECKOUT, environment=environment)

    async def _is_ready(self, _: ChildProcess) -> bool:
        return await accepts_connections(self.port)


class AwsClient:
    """A client of the AWS stand-in at `url`. Every call raises `ServiceFailed` if it is refused or gets no answer."""

    def __init__(self, url: str, credentials: AwsCredentials) -> None:
        self.url = url
        self._credentials = credentials
        self._client: httpx2.AsyncClient | None = None

    async def open(self) -> None:
        """Create the HTTP client."""
        # The imports take a noticeable fraction of a second; here they overlap the start of the services.
        for module in ("httpx2", "botocore.auth"):
            await asyncio.to_thread(importlib.import_module, module)
        self._ready_client()

    async def close(self) -> None:
        if self._client:
            await self._client.aclose()

    async def make_bucket(self, name: str) -> None:
        """Create a bucket unless it exists."""
        await self._call("s3", "PUT", f"/{name}", allowed=409)

    async def set_notifications(self, bucket: StackBucket) -> None:
        """Replace the bucket's notification configuration with its notifications to queues.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html
        """
        configuration = ET.Element("NotificationConfiguration", xmlns="http://s3.amazonaws.com/doc/2006-03-01/")
        for notification in bucket.notifications:
            entry = ET.SubElement(configuration, "QueueConfiguration")
            ET.SubElement(entry, "Queue").text = notification.queue_arn
            ET.SubElement(entry, "Event").text = notification.event
            rule = ET.SubElement(ET.SubElement(ET.SubElement(entry, "Filter"), "S3Key"), "FilterRule")
            ET.SubElement(rule, "Name").text = "prefix"
            ET.SubElement(rule, "Value").text = notification.prefix
        await self._call("s3", "PUT", f"/{bucket.name}?notification", body=ET.tostring(configuration))

    async def make_sender(self, address: str) -> None:
        """Verify a sender address in SES."""
        await self._call("ses", "POST", "/v2/email/identities", content={"EmailIdentity": address})

    async def buckets(self) -> list[dict[str, Any]]:
        """Return the object counts of all buckets."""
        counts: list[dict[str, Any]] = await self._call("s3", "GET", STATE_PATH)
        return counts

    async def _call(
        self,
        service: str,
        method: str,
        path: str,
        *,
        content: Any = None,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        allowed: int = 200,
    ) -> Any:
        body = body if content is None else json.dumps(content).encode()
        signed = signed_headers(self._credentials, service=service, method=method, url=self.url + path, body=body, headers=headers or {})
        import httpx2

        try:
            answer = await self._ready_client().request(method, path, content=body, headers=signed)
        except httpx2.HTTPError as error:
            raise ServiceFailed(f"moto did not answer: {error or type(error).__name__}") from error
        if answer.status_code not in (200, allowed):
            raise ServiceFailed(f"moto refused {path}: {answer.text}")
        return answer.json() if "json" in answer.headers.get("content-type", "") and answer.content else None

    def _ready_client(self) -> "httpx2.AsyncClient":
        import httpx2

        if self._client is None:
            self._client = httpx2.AsyncClient(base_url=self.url, timeout=_TIMEOUT_S, trust_env=False, verify=False)
        return self._client


async def provision_stack(stack: Stack, aws: AwsClient) -> None:
    """Create the missing buckets and senders of a stack and update their settings. Raises `ServiceFailed`.

    Resources that are no longer in the template stay, with their content.
    """
    for bucket in stack.buckets.values():
        await aws.make_bucket(bucket.name)
        await aws.set_notifications(bucket)
    if stack.mail_from:
        await aws.make_sender(parseaddr(stack.mail_from)[1])
