"""Emulator-only endpoints of the AWS stand-in: resource counts, and long polling for queue messages."""

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.s3.models import FakeBucket, s3_backends
from moto.sqs.models import Queue, sqs_backends

from local.services.fake_aws.inspection_paths import ARRIVALS_PATH, MAX_WAIT_S, STATE_PATH
from local.services.fake_aws.request import WsgiApp
from local.template.pseudo import ACCOUNT, REGION

_POLL_S = 1


class InspectionMiddleware:
    """A WSGI middleware that serves the inspection endpoints."""

    def __init__(self, app: WsgiApp) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == STATE_PATH:
            return _json_response(start_response, _resource_counts())
        if path.startswith(ARRIVALS_PATH):
            return _json_response(start_response, {"arrived": _wait_for_message(path.removeprefix(ARRIVALS_PATH))})
        return self._app(environ, start_response)


def _wait_for_message(name: str) -> bool:
    """Wait up to `MAX_WAIT_S` for a visible message, without receiving it.

    The end of a delay or of a visibility timeout does not wake this call, so it also checks the queue at every poll interval.
    """
    ends = time.monotonic() + MAX_WAIT_S
    while time.monotonic() < ends:
        queue = sqs_backends[ACCOUNT][REGION].queues.get(name)
        if queue is None:
            time.sleep(_POLL_S)
        elif queue.messages:
            return True
        else:
            queue.wait_for_messages(_POLL_S)
    return False


def _resource_counts() -> dict[str, Any]:
    queues = list(sqs_backends[ACCOUNT][REGION].queues.values())
    return {
        "queues": [_queue_counts(queue) for queue in queues],
        "buckets": [_bucket_counts(bucket) for bucket in list(s3_backends[ACCOUNT]["aws"].buckets.values())],
    }


def _queue_counts(queue: Queue) -> dict[str, Any]:
    return {
        "name": queue.name,
        "visible": queue.approximate_number_of_messages,
        "in_flight": queue.approximate_number_of_messages_not_visible,
        "delayed": queue.approximate_number_of_messages_delayed,
        "dead_letters": queue.dead_letter_queue.name if queue.dead_letter_queue else None,
    }


def _bucket_counts(bucket: FakeBucket) -> dict[str, Any]:
    sizes = [getattr(key, "size", 0) for key in bucket.keys.values()]
    return {"name": bucket.name, "objects": len(sizes), "bytes": sum(sizes)}


def _json_response(start_response: Callable[..., Any], content: Any) -> list[bytes]:
    body = json.dumps(content).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
