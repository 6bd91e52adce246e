"""The container engine for `sam local`, found with the `docker` command."""

import ipaddress
import json
import platform
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

_PYTHON = "3.13"
_PULL_S = 900
_DOCKER_S = 20


class ContainerEngineMissing(Exception):
    """This machine cannot run containers of AWS's Python image; the message says why."""


@dataclass(frozen=True)
class ContainerEngine:
    """A container engine: its `architecture` as the template spells it, and this machine's `host_address` in the containers' network."""

    architecture: str
    host_address: str


def find_container_engine() -> ContainerEngine:
    """Find the engine and pull AWS's image if needed. Raises `ContainerEngineMissing`."""
    if shutil.which("docker") is None:
        raise ContainerEngineMissing("there is no `docker` command")
    _docker("version")
    architecture = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    _ensure_image(f"public.ecr.aws/lambda/python:{_PYTHON}-{architecture}")
    return ContainerEngine(architecture, host_address(json.loads(_docker("network", "inspect", "bridge"))))


def host_address(networks: list[dict[str, Any]]) -> str:
    """Return the host's address in an inspected network: the gateway if given, else the first address of the subnet."""
    config = networks[0]["IPAM"]["Config"][0]
    return str(config.get("Gateway") or ipaddress.ip_network(config["Subnet"])[1])


def _ensure_image(image: str) -> None:
    try:
        _docker("image", "inspect", image)
    except ContainerEngineMissing:
        print(f"Pulling {image} …", flush=True)
        _docker("pull", "--quiet", image, limit_s=_PULL_S)


def _docker(*arguments: str, limit_s: float = _DOCKER_S) -> str:
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=limit_s)  # noqa: S607
    except subprocess.TimeoutExpired as error:
        raise ContainerEngineMissing(f"`docker {arguments[0]}` did not answer within {limit_s:.0f} s") from error
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise ContainerEngineMissing(f"`docker {' '.join(arguments)}` failed: {' '.join(reason)}")
    return done.stdout
