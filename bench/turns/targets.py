"""The servers to compare: the fake model itself, a minimal pass-through, LiteLLM's proxy, and Parley."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.harness.load import Request
from bench.harness.servers import Server, ServerFailed, free_port, running_server
from bench.harness.stack import Users, running_parley

QUESTION = "hello there, how are you?"
# Always pin the version: releases 1.82.7 and 1.82.8 were malicious.
LITELLM = "litellm[proxy]==1.106.2"
LITELLM_HOME = Path(".bench/litellm")
_CONFIG = Path(__file__).with_name("litellm.yaml")


@dataclass(frozen=True)
class Target:
    """A server to measure. After `warm_s` seconds of load, each of its workers has served a request."""

    name: str
    server: Server
    path: str
    body: dict[str, object]
    keys: Callable[[], Sequence[str]] = tuple
    warm_s: float = 1.0

    def request(self, *, is_streamed: bool) -> Request:
        """Return the request to send to the server."""
        return Request(self.server.url + self.path, json.dumps(self.body | {"stream": is_streamed}), self.keys())


def _openai(name: str, server: Server) -> Target:
    body: dict[str, object] = {"model": "fake", "messages": [{"role": "user", "content": QUESTION}]}
    return Target(name, server, "/v1/chat/completions", body)


@contextmanager
def upstream(folder: Path) -> Iterator[Target]:
    """Run the fake model server."""
    port = free_port()
    with running_server(
        [sys.executable, "-m", "bench.harness.fake_model", "--port", str(port)], port=port, log=folder / "upstream.log"
    ) as server:
        yield _openai("fake upstream", server)


@contextmanager
def passthrough(folder: Path, *, base_url: str) -> Iterator[Target]:
    """Run the minimal server: FastAPI and OpenAI's SDK."""
    port = free_port()
    command = [sys.executable, "-m", "bench.turns.passthrough", "--port", str(port)]
    with running_server(command, port=port, log=folder / "passthrough.log", environment={"UPSTREAM": base_url}) as server:
        yield _openai("FastAPI + SDK", server)


@contextmanager
def litellm(folder: Path, *, base_url: str) -> Iterator[Target]:
    """Run LiteLLM's proxy in its fastest configuration: one worker, no database, no key checks."""
    install_litellm()
    port = free_port()
    variables = {
        "UPSTREAM": base_url,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        # Otherwise LiteLLM refuses to start without a master key. The proxy listens on loopback only.
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    command = [
        str(LITELLM_HOME / "bin" / "litellm"),
        "--config",
        str(_CONFIG),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--num_workers",
        "1",
    ]
    with running_server(command, port=port, log=folder / "litellm.log", ready="/health/liveliness", environment=variables) as server:
        yield _openai("LiteLLM", server)


@contextmanager
def parley(folder: Path, *, base_url: str, users: int) -> Iterator[Target]:
    """Run the whole stack: gateway, authorizer, function, database. Each client is a separate user."""
    with running_parley(folder, upstream=base_url) as server:
        yield Target("Parley", server, "/chat", {"message": QUESTION}, Users(server, users).tokens, warm_s=8.0)


def install_litellm() -> None:
    """Install LiteLLM into its own virtual environment if this version is not yet there. Raises `ServerFailed` if that fails."""
    installed = LITELLM_HOME / "installed.txt"
    if installed.is_file() and installed.read_text() == LITELLM:
        return
    print(f"Installing {LITELLM} into {LITELLM_HOME} …", file=sys.stderr, flush=True)
    LITELLM_HOME.parent.mkdir(exist_ok=True)
    (LITELLM_HOME.parent / ".gitignore").write_text("*\n")
    _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(LITELLM_HOME))
    _uv("pip", "install", "--quiet", "--compile-bytecode", "--python", str(LITELLM_HOME / "bin" / "python"), LITELLM)
    installed.write_text(LITELLM)


def _uv(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "uv", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"cannot install LiteLLM (--without-litellm skips it):\n{done.stderr[-2000:]}")
