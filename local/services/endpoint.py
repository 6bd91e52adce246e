"""Calling AWS's services from the emulator itself, by their wire formats."""

import asyncio
import importlib
import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

from local.services.questions import ARRIVALS, LONGEST_WAIT_S, STATE
from local.services.supervised import ServiceFailed
from local.template.pseudo import REGION
from local.template.stack import Bucket

if TYPE_CHECKING:
    import httpx2

_PATIENCE_S = LONGEST_WAIT_S + 10


class Endpoint:
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

    async def notify(self, bucket: Bucket) -> None:
        """Have a bucket tell queues of its new objects, and nobody else.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html
        """
        told = ET.Element("NotificationConfiguration", xmlns="http://s3.amazonaws.com/doc/2006-03-01/")
        for one in bucket.notifications:
            entry = ET.SubElement(told, "QueueConfiguration")
            ET.SubElement(entry, "Queue").text, ET.SubElement(entry, "Event").text = one.queue_arn, one.event
            rule = ET.SubElement(ET.SubElement(ET.SubElement(entry, "Filter"), "S3Key"), "FilterRule")
            ET.SubElement(rule, "Name").text, ET.SubElement(rule, "Value").text = "prefix", one.prefix
        await self._call("s3", "PUT", f"/{bucket.name}?notification", body=ET.tostring(told))

    async def make_sender(self, address: str) -> None:
        """Let an address send mail."""
        await self._call("ses", "POST", "/v2/email/identities", content={"EmailIdentity": address})

    async def arrival(self, queue: str) -> bool:
        """Wait, for a while, until a queue has a message to give; it may be gone when it is asked for."""
        return bool((await self._call("sqs", "GET", ARRIVALS + queue))["arrived"])

    async def state(self) -> dict[str, Any]:
        """Return how full queues and buckets are."""
        found: dict[str, Any] = await self._call("sqs", "GET", STATE)
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
            self._client = httpx2.AsyncClient(base_url=self.url, timeout=_PATIENCE_S, trust_env=False, verify=False)
        return self._client
