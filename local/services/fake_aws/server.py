"""The AWS stand-in: `python -m local.services.fake_aws.server --port N --folder F`.

This is moto's server with durable state: each change is on disk before the caller receives the response. Callers sign their
requests with the credentials in this process's environment.
"""

import argparse
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import RLock
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from local.request_origin import loopback_hosts
from local.services.aws_signature import AwsCredentials
from local.services.fake_aws.access import AccessGuard
from local.services.fake_aws.request import WsgiApp
from local.services.fake_aws.s3 import BucketCounter, NotificationSender, S3Snapshot
from local.services.fake_aws.ses import MailRecorder, SesSnapshot
from local.services.fake_aws.signature import SignatureCheck
from local.services.fake_aws.snapshot import ServiceSnapshot
from local.services.fake_aws.ssm import SsmSnapshot


class SnapshotMiddleware:
    """A WSGI middleware that saves each snapshot that a call may have changed, before the caller receives the response."""

    def __init__(self, app: WsgiApp, snapshots: Sequence[ServiceSnapshot], lock: RLock) -> None:
        self._app = app
        self._snapshots = snapshots
        self._lock = lock

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        changed = [snapshot for snapshot in self._snapshots if snapshot.changes(environ)]
        if not changed:
            return self._app(environ, start_response)
        with self._lock:
            answer = list(self._app(environ, start_response))
            for snapshot in changed:
                snapshot.save()
        return answer


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1", help="Address to listen on; requests must name the loopback address all the same.")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--upload-origin", action="append", default=[], help="Web origin whose pages may send upload forms.")
    parser.add_argument("--queues-url", required=True, help="The queues that buckets notify.")
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    credentials = AwsCredentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    NotificationSender(options.queues_url, credentials).install()
    app = AccessGuard(
        make_app(options.folder),
        SignatureCheck(credentials),
        hosts=loopback_hosts(options.port),
        upload_origins=frozenset(options.upload_origin),
    )
    make_server(options.host, options.port, app, threaded=True, request_handler=MotoRequestHandler).serve_forever()


def make_app(folder: Path) -> WsgiApp:
    """Return the WSGI app of all services, without access control, with their state restored from `folder`."""
    lock = RLock()
    snapshots: list[ServiceSnapshot] = [
        SsmSnapshot(folder / "ssm.json"),
        S3Snapshot(folder / "s3"),
        SesSnapshot(folder / "ses.json"),
    ]
    for snapshot in snapshots:
        snapshot.load()
    return BucketCounter(
        MailRecorder(SnapshotMiddleware(DomainDispatcherApplication(create_backend_app), snapshots, lock), folder / "mail")
    )


if __name__ == "__main__":
    main()
