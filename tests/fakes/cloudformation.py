"""The presigned URL to which a custom resource sends its response, as a real HTTP server, and CloudFormation's events."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.fakes.http_server import serving

STACK = "arn:aws:cloudformation:eu-west-1:111122223333:stack/parley-dev/4c6f6e60-cb9a-11f0-8f3e-0a58a9feac02"
LAYER = "arn:aws:lambda:eu-west-1:111122223333:layer:SharedLayer"


@dataclass
class ResponseUrl:
    """Collects responses. `failures` is how many requests are answered with 503 first."""

    url: str = ""
    failures: int = 0
    responses: list[dict[str, Any]] = field(default_factory=list)
    content_types: list[str | None] = field(default_factory=list)

    def event(self, kind: str, *, release: int, old_release: int | None = None) -> dict[str, Any]:
        """Return an event as CloudFormation sends it, for the layer's version `release`."""
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes-update.html
        event = {
            "RequestType": kind,
            "ServiceToken": "arn:aws:lambda:eu-west-1:111122223333:function:parley-dev-MigrateFunction",
            "ResponseURL": self.url,
            "StackId": STACK,
            "RequestId": "2f8ba5d6-9dfb-4d5c-8a6c-1d5b0b7a5f11",
            "LogicalResourceId": "Migration",
            "ResourceType": "Custom::Migration",
            "ResourceProperties": {"ServiceToken": "arn", "ServiceTimeout": "960", "Release": f"{LAYER}:{release}"},
        }
        if kind != "Create":
            event["PhysicalResourceId"] = "Migration-of-4c6f6e60-cb9a-11f0-8f3e-0a58a9feac02"
        if old_release is not None:
            event["OldResourceProperties"] = {"ServiceToken": "arn", "ServiceTimeout": "960", "Release": f"{LAYER}:{old_release}"}
        return event


@contextmanager
def receiving_responses() -> Iterator[ResponseUrl]:
    """Serve the presigned URL until the end of the block."""
    received = ResponseUrl()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_failing = received.failures > 0
            received.failures -= is_failing
            if not is_failing:
                received.content_types.append(self.headers["Content-Type"])
                received.responses.append(json.loads(body))
            self.send_response(503 if is_failing else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as url:
        received.url = f"{url}/response?X-Amz-Signature=0123456789abcdef"
        yield received
