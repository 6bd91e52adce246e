"""Emulator-only endpoint of the AWS stand-in: the contents of its buckets, counted."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from moto.s3.models import FakeBucket, s3_backends

from local.services.fake_aws.inspection_paths import STATE_PATH
from local.services.fake_aws.request import WsgiApp
from local.template.pseudo import ACCOUNT


class InspectionMiddleware:
    """A WSGI middleware that serves the inspection endpoint."""

    def __init__(self, app: WsgiApp) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != STATE_PATH:
            return self._app(environ, start_response)
        body = json.dumps([_bucket_counts(bucket) for bucket in list(s3_backends[ACCOUNT]["aws"].buckets.values())]).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


def _bucket_counts(bucket: FakeBucket) -> dict[str, Any]:
    sizes = [getattr(key, "size", 0) for key in bucket.keys.values()]
    return {"name": bucket.name, "objects": len(sizes), "bytes": sum(sizes)}
