"""Starting and watching the process of `local.services.aws`."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local import children
from local.children import Child
from local.folder import DataFolder
from local.ports import free_port
from local.services.supervised import Supervised, accepts

_CHECKOUT = Path(__file__).resolve().parents[2]


class Moto:
    """AWS's services on a free loopback port."""

    def __init__(self, folder: DataFolder, *, report: Callable[[str], None]) -> None:
        self._folder = folder.aws
        self.port = free_port()
        self._process = Supervised("moto", launch=self._launch, ready=self._is_ready, log=folder.logs / "aws.log", report=report)

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

    async def _launch(self) -> Child:
        command = (sys.executable, "-m", "local.services.aws", "--port", str(self.port), "--folder", str(self._folder))
        environment = {"PATH": os.environ.get("PATH", os.defpath), "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull}
        return await children.start(*command, cwd=_CHECKOUT, environment=environment)

    async def _is_ready(self, _: Child) -> bool:
        return await accepts(self.port)
