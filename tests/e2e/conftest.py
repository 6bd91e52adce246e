"""The whole stack, started by `parley up` and driven over HTTP."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import pytest

from local.ports import free_port
from tests.fakes.open_meteo import OpenMeteo, running_open_meteo
from tests.fakes.vendor import Vendor, running_vendor
from tests.support.api_gateway import PASSWORD
from tests.support.time_limits import HANG_S

ROOT = Path(__file__).parents[2]
SHIPPED_MODELS = ROOT / "layers" / "shared" / "parley" / "llm" / "models.toml"
EMBEDDING_MODEL = ROOT / "functions" / "embedder" / "model" / "model.onnx"

MODELS = """
[roles]
chat = "vendor"
title = "offline"
summary = "offline"
facts = "offline"
embedding = "lexical"

[models.vendor]
provider = "openai"
name = "vendor-model"
base_url = "{url}"
api_key = "env:PARLEY_TEST_VENDOR_KEY"
input_usd_per_mtok = 1.0
output_usd_per_mtok = 2.0
abilities = ["tools", "images", "json"]

[models.offline]
provider = "offline"
name = "offline"
abilities = ["tools", "json"]

[models.lexical]
provider = "offline"
name = "lexical"
kind = "embedding"
dimensions = 64
"""


class Stack:
    """A `parley up` process and an HTTP client for it. `sources` is the copy of the product that it runs, else the checkout."""

    def __init__(self, data: Path, models: Path, *options: str, sources: Path = ROOT) -> None:
        self.data, self.port, self.sources = data, free_port(), sources
        self._options = options
        self._variables = os.environ | {
            "PARLEY_PORT": str(self.port),
            "PARLEY_DATA": str(data),
            "PARLEY_MODELS": str(models),
            "PARLEY_TEST_VENDOR_KEY": "sk-test-vendor-key",
            "PARLEY_CONFIG_DIR": str(data.parent / "config"),
            # Only the functions that the tests use start.
            "PARLEY_WARM": "no",
        }
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx2.Client(base_url=self.url, timeout=HANG_S, trust_env=False)

    def start(self) -> None:
        command = [sys.executable, "-m", "cli", "up", *self._options]
        with (self.data.parent / "up.log").open("ab") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, env=self._variables, stdout=output, stderr=output, start_new_session=True)
        try:
            self.wait_for("/health/ready", 200)
        except AssertionError:
            self.kill()
            raise

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(HANG_S)
        self.http.close()

    def kill(self) -> None:
        """Kill the emulator and all its descendants, like a power cut."""
        pids = [self.process.pid, *descendants(self.process.pid)]
        for pid in pids:
            with suppress(ProcessLookupError):  # it may have died together with its parent
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def wait_for(self, path: str, status: int) -> None:
        ends = time.monotonic() + HANG_S
        while time.monotonic() < ends and self.process.poll() is None:
            try:
                if self.http.get(path).status_code == status:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError((self.data.parent / "up.log").read_text())

    def stop_postgres(self) -> None:
        """Kill the database and prevent its restart."""
        (self.data / "postgres" / "PG_VERSION").rename(self.data / "PG_VERSION.away")
        os.kill(self.status()["services"]["postgres"]["pid"], signal.SIGKILL)

    def restore_postgres(self) -> None:
        """Allow the emulator to restart the database."""
        (self.data / "PG_VERSION.away").rename(self.data / "postgres" / "PG_VERSION")

    def status(self) -> dict[str, Any]:
        return self.http.get("/_local/status").json()

    def register(self) -> "Client":
        email = f"{secrets.token_hex(6)}@example.com"
        answer = self.http.post("/auth/register", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        return Client(self.http, email, answer.json()["access_token"])

    def parley(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run the terminal client against this stack."""
        command = [sys.executable, "-m", "cli", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self._variables, capture_output=True, text=True, timeout=HANG_S, check=False, **options
        )


class Client:
    """A logged-in user."""

    def __init__(self, http: httpx2.Client, email: str, token: str) -> None:
        self._http, self.email, self.headers = http, email, {"Authorization": f"Bearer {token}"}

    def get(self, path: str) -> httpx2.Response:
        return self._http.get(path, headers=self.headers)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        return self._http.post(path, json=body, headers=self.headers, **options)

    def patch(self, path: str, body: Any) -> httpx2.Response:
        return self._http.patch(path, json=body, headers=self.headers)

    def delete(self, path: str) -> httpx2.Response:
        return self._http.delete(path, headers=self.headers)

    def stream(self, body: Any, path: str = "/chat") -> Any:
        return self._http.stream("POST", path, json=body, headers=self.headers)

    def messages(self, conversation_id: str) -> list[dict[str, Any]]:
        return self.get(f"/conversations/{conversation_id}/messages").json()["items"]


def copy_of_sources(folder: Path) -> Path:
    """Copy the sources that `parley up` runs."""
    for name in ("functions", "layers"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "template.yaml", folder)
    return folder


def descendants(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    children: dict[int, list[int]] = {}
    for line in listed.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found, left = [], [pid]
    while left:
        found += children.get(left[0], [])
        left += children.get(left.pop(0), [])
    return found


@pytest.fixture(scope="session")
def vendor() -> Iterator[Vendor]:
    """A fake model vendor."""
    with running_vendor() as running:
        yield running


@pytest.fixture(scope="session")
def open_meteo() -> Iterator[OpenMeteo]:
    """A fake weather service."""
    with running_open_meteo() as running:
        yield running


@contextmanager
def running_stack(vendor: Vendor, *options: str, catalogue: str = MODELS) -> Iterator[Stack]:
    """Run a copy of the product that a test may change."""
    with _running_stack(catalogue.format(url=vendor.url), *options) as stack:
        yield stack


@contextmanager
def _running_stack(catalogue: str, *options: str) -> Iterator[Stack]:
    with TemporaryDirectory(prefix="parley-e2e-") as folder:
        models = Path(folder) / "models.toml"
        models.write_text(catalogue)
        sources = copy_of_sources(Path(folder) / "sources")
        stack = Stack(Path(folder) / "data", models, "--template", str(sources / "template.yaml"), *options, sources=sources)
        stack.start()
        yield stack
        stack.stop()


@pytest.fixture(scope="session")
def stack(vendor: Vendor, open_meteo: OpenMeteo) -> Iterator[Stack]:
    """A session-wide stack, for tests that leave it running or restart it."""
    with running_stack(vendor, *open_meteo.options) as running:
        yield running


@pytest.fixture(scope="session")
def fault_stack(vendor: Vendor) -> Iterator[Stack]:
    """A second stack, for tests that break a part of it. Each test leaves the stack working."""
    with running_stack(vendor) as running:
        yield running


@pytest.fixture(scope="session")
def keyless_stack() -> Iterator[Stack]:
    """A stack as a new user has it: the shipped catalogue, no vendor's key, and the built-in embedding model."""
    if not EMBEDDING_MODEL.exists():
        pytest.skip("the built-in embedding model is not installed: run `make embedder`, as `make test` does")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "MISTRAL_API_KEY", "BEDROCK_API_KEY"):
            patch.delenv(name, raising=False)
        with _running_stack(SHIPPED_MODELS.read_text()) as running:
            yield running


@pytest.fixture
def ada(stack: Stack) -> Client:
    """A user of the shared stack."""
    return stack.register()
