"""AWS's services as the emulator uses them: moto's process, calls to it, and the queues, buckets and senders of a template."""

import asyncio
import importlib
import json
import os
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local import processes
from local.data_dir import DataDir
from local.ports import free_port
from local.processes import ChildProcess
from local.services.fake_aws.inspection_paths import ARRIVALS_PATH, MAX_WAIT_S, STATE_PATH
from local.services.supervisor import ServiceFailed, SupervisedProcess, accepts_connections
from local.template.pseudo import REGION
from local.template.stack import Bucket, Stack

if TYPE_CHECKING:
    import httpx2

_CHECKOUT = Path(__file__).resolve().parents[2]
_TIMEOUT_S = MAX_WAIT_S + 10


class MotoServer:
    """AWS's services on a free loopback port."""

    def __init__(self, folder: DataDir, *, report: Callable[[str], None]) -> None:
        self._folder = folder.aws
        self.port = free_port()
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
        environment = {"PATH": os.environ.get("PATH", os.defpath), "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull}
        return await processes.start_process(*command, cwd=_CHECKOUT, environment=environment)

    async def _is_ready(self, _: ChildProcess) -> bool:
        return await accepts_connections(self.port)


class AwsClient:
    """The process that stands in for AWS, at `url`; every call raises `ServiceFailed` if it does not do what it is asked to."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client: httpx2.AsyncClient | None = None

    async def open(self) -> None:
        """Make ready for calls."""
        # A part of a second, while the services start.
        await asyncio.to_thread(importlib.import_module, "httpx2")
        self._ready_client()

    async def close(self) -> None:
        if self._client:
            await self._client.aclose()

    async def sqs(self, action: str, **fields: Any) -> Any:
        """Return what a call of SQS answers."""
        headers = {"X-Amz-Target": f"AmazonSQS.{action}", "Content-Type": "application/x-amz-json-1.0"}
        return await self._call("sqs", "POST", "/", content=fields, headers=headers)

    async def make_bucket(self, name: str) -> None:
        """Make a bucket; one that is there is left as it is."""
        await self._call("s3", "PUT", f"/{name}", allowed=409)

    async def set_notifications(self, bucket: Bucket) -> None:
        """Have a bucket tell queues of its new objects, and nobody else.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html
        """
        configuration = ET.Element("NotificationConfiguration", xmlns="http://s3.amazonaws.com/doc/2006-03-01/")
        for one in bucket.notifications:
            entry = ET.SubElement(configuration, "QueueConfiguration")
            ET.SubElement(entry, "Queue").text, ET.SubElement(entry, "Event").text = one.queue_arn, one.event
            rule = ET.SubElement(ET.SubElement(ET.SubElement(entry, "Filter"), "S3Key"), "FilterRule")
            ET.SubElement(rule, "Name").text, ET.SubElement(rule, "Value").text = "prefix", one.prefix
        await self._call("s3", "PUT", f"/{bucket.name}?notification", body=ET.tostring(configuration))

    async def make_sender(self, address: str) -> None:
        """Let an address send mail."""
        await self._call("ses", "POST", "/v2/email/identities", content={"EmailIdentity": address})

    async def wait_for_message(self, queue: str) -> bool:
        """Wait, for a while, until a queue has a message to give; it may be gone when it is asked for."""
        return bool((await self._call("sqs", "GET", ARRIVALS_PATH + queue))["arrived"])

    async def state(self) -> dict[str, Any]:
        """Return how full queues and buckets are."""
        found: dict[str, Any] = await self._call("sqs", "GET", STATE_PATH)
        return found

    async def _call(
        self,
        service: str,
        method: str,
        path: str,
        *,
        content: Any = None,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
        allowed: int = 200,
    ) -> Any:
        credential = f"AWS4-HMAC-SHA256 Credential=local/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=local"
        body = body if content is None else json.dumps(content)
        import httpx2

        try:
            answer = await self._ready_client().request(
                method, path, content=body, headers={"Authorization": credential, **(headers or {})}
            )
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
    """Make what is missing and set each queue as the template says, as often as you like; raises `ServiceFailed`.

    What the template has no longer is left with what is in it.
    """
    for queue in stack.queues.values():
        await aws.sqs("CreateQueue", QueueName=queue.name, Attributes={"FifoQueue": "true"} if queue.is_fifo else {})
    # Now that a queue's dead letters have a place to go to.
    for queue in stack.queues.values():
        await aws.sqs("SetQueueAttributes", QueueUrl=queue.url, Attributes=dict(queue.attributes))
    for bucket in stack.buckets.values():
        await aws.make_bucket(bucket.name)
        await aws.set_notifications(bucket)
    if stack.mail_from:
        await aws.make_sender(parseaddr(stack.mail_from)[1])
