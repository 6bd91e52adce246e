"""The container engine that `sam local` will use, as the `docker` command sees it."""

import ipaddress
import json
import platform
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

_PYTHON = "3.13"
_PULL_S = 900
_ASK_S = 20


class NoEngine(Exception):
    """No container of AWS's Python image can be run here; the text says why."""


@dataclass(frozen=True)
class Engine:
    """What can run containers: `architecture` as the template names it, `host_address` is this machine's in their network."""

    architecture: str
    host_address: str


def find_engine() -> Engine:
    """Return the engine, with AWS's image there or pulled; raises `NoEngine`."""
    if shutil.which("docker") is None:
        raise NoEngine("there is no `docker` command")
    _ask("version")
    architecture = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    _ensure_image(f"public.ecr.aws/lambda/python:{_PYTHON}-{architecture}")
    return Engine(architecture, gateway(json.loads(_ask("network", "inspect", "bridge"))))


def gateway(networks: list[dict[str, Any]]) -> str:
    """Return the host's address in an inspected network. An engine that does not tell it gives the host the first one."""
    config = networks[0]["IPAM"]["Config"][0]
    return str(config.get("Gateway") or ipaddress.ip_network(config["Subnet"])[1])


def _ensure_image(image: str) -> None:
    try:
        _ask("image", "inspect", image)
    except NoEngine:
        print(f"Pulling {image} …", flush=True)
        _ask("pull", "--quiet", image, limit_s=_PULL_S)


def _ask(*arguments: str, limit_s: float = _ASK_S) -> str:
    try:
        asked = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=limit_s)  # noqa: S607
    except subprocess.TimeoutExpired as error:
        raise NoEngine(f"`docker {arguments[0]}` did not answer within {limit_s:.0f} s") from error
    if asked.returncode != 0:
        reason = (asked.stderr.strip() or asked.stdout.strip()).splitlines()[-1:]
        raise NoEngine(f"`docker {' '.join(arguments)}` failed: {' '.join(reason)}")
    return asked.stdout
