"""The queues' endpoint for AWS SDKs, on a loopback port of the emulator's process."""

import asyncio
import importlib

from local.queues.service import QueueService
from local.request_origin import loopback_hosts
from local.server import HttpServer, listen
from local.services.aws_signature import AwsCredentials


class QueueServer:
    """Serves `queues` to programs with `credentials`, on a free port unless one is given. Raises `PortTaken`.

    It listens from the beginning, because other services learn its address before it serves.
    """

    def __init__(self, credentials: AwsCredentials, *, port: int = 0) -> None:
        self._credentials = credentials
        self._server: HttpServer | None = None
        self._listening = listen(port)
        self.port = int(self._listening.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, queues: QueueService) -> None:
        """Serve until `stop`."""
        # The import of botocore, which checks the signatures, overlaps the start of the other services.
        await asyncio.to_thread(importlib.import_module, "local.queues.http_api")
        from local.queues.http_api import QueueApi
        from local.services.fake_aws.signature import SignatureCheck

        api = QueueApi(queues, SignatureCheck(self._credentials), url=self.url, hosts=loopback_hosts(self.port))
        self._server = HttpServer(api)
        await self._server.start(self._listening)

    async def stop(self) -> None:
        if self._server:
            await self._server.stop()
        self._listening.close()
