"""What the emulator asks its own stand-in for AWS, beside AWS's calls: how full it is, and word of a message's arrival."""

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.s3.models import FakeBucket, s3_backends
from moto.sqs.models import Queue, sqs_backends

from local.services.questions import ARRIVALS, LONGEST_WAIT_S, STATE
from local.services.ses import Wsgi
from local.template.pseudo import ACCOUNT, REGION

_STEP_S = 1


class Inside:
    """A WSGI app around another that answers these questions itself."""

    def __init__(self, app: Wsgi) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == STATE:
            return _answer(start_response, _state())
        if path.startswith(ARRIVALS):
            return _answer(start_response, {"arrived": _wait(path.removeprefix(ARRIVALS))})
        return self._app(environ, start_response)


def _wait(name: str) -> bool:
    """Wait until the queue has a message to give, for a while; nothing is taken. What comes of age by itself is seen at the next step."""
    ends = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < ends:
        queue = sqs_backends[ACCOUNT][REGION].queues.get(name)
        if queue is None:
            time.sleep(_STEP_S)
        elif queue.messages:
            return True
        else:
            queue.wait_for_messages(_STEP_S)
    return False


def _state() -> dict[str, Any]:
    queues = list(sqs_backends[ACCOUNT][REGION].queues.values())
    return {
        "queues": [_queue(queue) for queue in queues],
        "buckets": [_bucket(bucket) for bucket in list(s3_backends[ACCOUNT]["aws"].buckets.values())],
    }


def _queue(queue: Queue) -> dict[str, Any]:
    return {
        "name": queue.name,
        "visible": queue.approximate_number_of_messages,
        "in_flight": queue.approximate_number_of_messages_not_visible,
        "delayed": queue.approximate_number_of_messages_delayed,
        "dead_letters": queue.dead_letter_queue.name if queue.dead_letter_queue else None,
    }


def _bucket(bucket: FakeBucket) -> dict[str, Any]:
    sizes = [getattr(key, "size", 0) for key in bucket.keys.values()]
    return {"name": bucket.name, "objects": len(sizes), "bytes": sum(sizes)}


def _answer(start_response: Callable[..., Any], content: Any) -> list[bytes]:
    body = json.dumps(content).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
