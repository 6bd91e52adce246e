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


class ContainerEngineMissing(Exception):
    """No container of AWS's Python image can be run here; the text says why."""


@dataclass(frozen=True)
class ContainerEngine:
    """What can run containers: `architecture` as the template names it, `host_address` is this machine's in their network."""

    architecture: str
    host_address: str


def find_container_engine() -> ContainerEngine:
    """Return the engine, with AWS's image there or pulled; raises `ContainerEngineMissing`."""
    if shutil.which("docker") is None:
        raise ContainerEngineMissing("there is no `docker` command")
    _docker("version")
    architecture = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    _ensure_image(f"public.ecr.aws/lambda/python:{_PYTHON}-{architecture}")
    return ContainerEngine(architecture, host_address(json.loads(_docker("network", "inspect", "bridge"))))


def host_address(networks: list[dict[str, Any]]) -> str:
    """Return the host's address in an inspected network. An engine that does not tell it gives the host the first one."""
    config = networks[0]["IPAM"]["Config"][0]
    return str(config.get("Gateway") or ipaddress.ip_network(config["Subnet"])[1])


def _ensure_image(image: str) -> None:
    try:
        _docker("image", "inspect", image)
    except ContainerEngineMissing:
        print(f"Pulling {image} …", flush=True)
        _docker("pull", "--quiet", image, limit_s=_PULL_S)


def _docker(*arguments: str, limit_s: float = _ASK_S) -> str:
    try:
        asked = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=limit_s)  # noqa: S607
    except subprocess.TimeoutExpired as error:
        raise ContainerEngineMissing(f"`docker {arguments[0]}` did not answer within {limit_s:.0f} s") from error
    if asked.returncode != 0:
        reason = (asked.stderr.strip() or asked.stdout.strip()).splitlines()[-1:]
        raise ContainerEngineMissing(f"`docker {' '.join(arguments)}` failed: {' '.join(reason)}")
    return asked.stdout
