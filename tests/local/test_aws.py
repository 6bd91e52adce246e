"""AWS's services, and what outlives them."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from local.ports import free_port
from local.services.ssm import SsmShelf
from tests.local.running import eventually


class Ssm:
    """Calls SSM by its wire format: the test process's own boto3 is under moto already."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._url = f"http://127.0.0.1:{port}/"

    def __call__(self, action: str, **fields: Any) -> Any:
        credential = "Credential=x/20260101/us-east-1/ssm/aws4_request, SignedHeaders=host, Signature=x"
        headers = {"X-Amz-Target": f"AmazonSSM.{action}", "Authorization": f"AWS4-HMAC-SHA256 {credential}"}
        return httpx2.post(self._url, json=fields, headers=headers | {"Content-Type": "application/x-amz-json-1.1"}).json()

    def put(self, name: str, value: str, **more: Any) -> None:
        self("PutParameter", Name=name, Value=value, Type="SecureString", **more)


@contextmanager
def started(folder: Path) -> Iterator[Ssm]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "local.services.aws", "--port", str(port), "--folder", str(folder)])
    ssm = Ssm(port, process)
    try:
        assert eventually(lambda: _answers(ssm), within_s=20)
        yield ssm
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def _answers(ssm: Ssm) -> bool:
    try:
        return "Parameters" in ssm("DescribeParameters")
    except httpx2.ConnectError:
        return False


def test_parameters_survive_a_kill(tmp_path: Path) -> None:
    with started(tmp_path) as ssm:
        ssm.put("/p/key", "one", Tags=[{"Key": "a", "Value": "b"}])
        ssm.put("/p/key", "two", Overwrite=True)
        ssm.put("/p/gone", "x")
        ssm("DeleteParameter", Name="/p/gone")

    with started(tmp_path) as ssm:
        found = ssm("GetParametersByPath", Path="/p", WithDecryption=True)["Parameters"]
        history = ssm("GetParameterHistory", Name="/p/key", WithDecryption=True)["Parameters"]
        tags = ssm("ListTagsForResource", ResourceType="Parameter", ResourceId="/p/key")["TagList"]

    assert [(one["Name"], one["Value"], one["Type"], one["Version"]) for one in found] == [("/p/key", "two", "SecureString", 2)]
    assert [one["Value"] for one in history] == ["one", "two"]
    assert tags == [{"Key": "a", "Value": "b"}]
    assert stat.S_IMODE((tmp_path / "ssm.json").stat().st_mode) == 0o600


def test_reading_writes_nothing() -> None:
    def changes(target: str) -> bool:
        return SsmShelf(Path("unused")).changes({"HTTP_X_AMZ_TARGET": target})

    assert not any(changes(f"AmazonSSM.{call}") for call in ("GetParameter", "DescribeParameters", "ListTagsForResource"))
    assert not changes("DynamoDB_20120810.PutItem")
    assert all(changes(f"AmazonSSM.{call}") for call in ("PutParameter", "DeleteParameters", "LabelParameterVersion"))
