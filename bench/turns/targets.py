"""The servers to compare: the fake model itself, a minimal pass-through, LiteLLM's proxy, Portkey's gateway, and Parley."""

import json
import shutil
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
PORTKEY = "@portkey-ai/gateway@1.15.2"
PORTKEY_HOME = Path(".bench/portkey")
_LOOPBACK_ONLY = Path(__file__).with_name("portkey.cjs")


@dataclass(frozen=True)
class Target:
    """A server to measure. After `warm_s` seconds of load, each of its workers has served a request."""

    name: str
    server: Server
    path: str
    body: dict[str, object]
    keys: Callable[[], Sequence[str]] = tuple
    headers: Sequence[str] = ()
    warm_s: float = 1.0

    def request(self, *, is_streamed: bool) -> Request:
        """Return the request to send to the server."""
        return Request(self.server.url + self.path, json.dumps(self.body | {"stream": is_streamed}), self.keys(), self.headers)


def _openai(name: str, server: Server, *, headers: Sequence[str] = ()) -> Target:
    body: dict[str, object] = {"model": "fake", "messages": [{"role": "user", "content": QUESTION}]}
    return Target(name, server, "/v1/chat/completions", body, headers=headers)


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
def portkey(folder: Path, *, base_url: str) -> Iterator[Target]:
    """Run Portkey's gateway as it comes: one process, no cache, no storage, no key checks."""
    install_portkey()
    port = free_port()
    command = [
        *("node", "--require", str(_LOOPBACK_ONLY.resolve())),
        str(PORTKEY_HOME.resolve() / "node_modules/@portkey-ai/gateway/build/start-server.js"),
        *(f"--port={port}", "--headless"),
    ]
    headers = ["x-portkey-provider: openai", f"x-portkey-custom-host: {base_url}", "Authorization: Bearer none"]
    with running_server(command, port=port, log=folder / "portkey.log", environment={"NODE_ENV": "production"}) as server:
        yield _openai("Portkey", server, headers=headers)


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
    _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(LITELLM_HOME))
    _uv("pip", "install", "--quiet", "--compile-bytecode", "--python", str(LITELLM_HOME / "bin" / "python"), LITELLM)
    installed.write_text(LITELLM)


def portkey_obstacle() -> str | None:
    """Return what is missing for Portkey's gateway, or None."""
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    return f"{' and '.join(missing)} not installed" if missing else None


def install_portkey() -> None:
    """Install Portkey's gateway with npm if this version is not yet there. Raises `ServerFailed` if that fails."""
    installed = PORTKEY_HOME / "installed.txt"
    if installed.is_file() and installed.read_text() == PORTKEY:
        return
    print(f"Installing {PORTKEY} into {PORTKEY_HOME} …", file=sys.stderr, flush=True)
    PORTKEY_HOME.mkdir(parents=True, exist_ok=True)
    # Without the scripts of its packages: the gateway needs none of them.
    command = ["npm", "install", "--prefix", str(PORTKEY_HOME), "--ignore-scripts", "--no-audit", "--no-fund", PORTKEY]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"cannot install Portkey's gateway (--without-portkey skips it):\n{done.stderr[-2000:]}")
    installed.write_text(PORTKEY)


def _uv(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "uv", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"cannot install LiteLLM (--without-litellm skips it):\n{done.stderr[-2000:]}")
