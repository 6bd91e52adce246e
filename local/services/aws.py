"""The process that stands in for AWS's services: `python -m local.services.aws --port N --folder F`.

It runs moto's server with one addition: what must outlive it is on disk
before the answer to the call that changed it goes out.
"""

import argparse
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import RLock
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from local.services.inside import Inside
from local.services.s3 import S3Shelf
from local.services.ses import PostOffice, SesShelf, Wsgi
from local.services.shelf import Shelf
from local.services.sqs import SqsShelf
from local.services.ssm import SsmShelf


class Keeping:
    """A WSGI app around another that saves the shelves a call has changed, before its answer."""

    def __init__(self, app: Wsgi, shelves: Sequence[Shelf], lock: RLock) -> None:
        self._app = app
        self._shelves = shelves
        self._lock = lock

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        changed = [shelf for shelf in self._shelves if shelf.changes(environ)]
        if not changed:
            return self._app(environ, start_response)
        with self._lock:
            answer = list(self._app(environ, start_response))
            for shelf in changed:
                shelf.save()
        return answer


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = make_app(options.folder)
    make_server("127.0.0.1", options.port, app, threaded=True, request_handler=MotoRequestHandler).serve_forever()


def make_app(folder: Path) -> Wsgi:
    """Return AWS's services with what `folder` keeps of them."""
    lock = RLock()
    shelves: list[Shelf] = [
        SsmShelf(folder / "ssm.json"),
        SqsShelf(folder / "sqs", lock),
        S3Shelf(folder / "s3"),
        SesShelf(folder / "ses.json"),
    ]
    for shelf in shelves:
        shelf.load()
    return Inside(PostOffice(Keeping(DomainDispatcherApplication(create_backend_app), shelves, lock), folder / "mail"))


if __name__ == "__main__":
    main()
