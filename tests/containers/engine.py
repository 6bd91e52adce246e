"""A Docker engine and a Compose command for the tests: those of this machine, or a private daemon."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_START_S = 30


class NoEngine(Exception):
    """This machine has no Docker engine, or no Compose. The message says what to install."""


class CommandFailed(Exception):
    """A command of Docker or Compose failed. The message ends with its output."""


@dataclass(frozen=True)
class Engine:
    """Runs `docker` and Compose. `environment` names the daemon and the images."""

    compose_command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def docker(self, *arguments: str, limit_s: float = 600) -> str:
        """Run a docker command and return its output. Raises `CommandFailed`."""
        return _run("docker", *arguments, environment=self.environment, limit_s=limit_s)

    def compose(self, *arguments: str, limit_s: float = 1800) -> str:
        """Run a Compose command and return its output. Raises `CommandFailed`."""
        return _run(*self.compose_command, *arguments, environment=self.environment, limit_s=limit_s)

    def has_image(self, name: str) -> bool:
        """Return whether the image is here, after an attempt to pull it."""
        if name in self.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split():
            return True
        try:
            self.docker("pull", "--quiet", name, limit_s=300)
        except (CommandFailed, subprocess.TimeoutExpired):
            return False
        return True


@contextmanager
def running_engine(folder: Path) -> Iterator[Engine]:
    """Use the daemon that answers, or run one with its data in `folder`. Raises `NoEngine`."""
    if not shutil.which("docker"):
        raise NoEngine("there is no Docker: on Debian, apt-get install docker.io docker-compose iptables")
    compose = _compose_command()
    if _answers({}):
        yield Engine(compose)
        return
    if not shutil.which("dockerd") or os.geteuid() != 0:
        raise NoEngine("no Docker daemon answers, and this user cannot start one")
    address = {"DOCKER_HOST": f"unix://{folder}/docker.sock"}
    options = [f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid", f"--host={address['DOCKER_HOST']}"]
    with (folder / "dockerd.log").open("w") as log:
        daemon = subprocess.Popen(["dockerd", *options], stdout=log, stderr=log)
    try:
        give_up_at = time.monotonic() + _START_S
        while not _answers(address):
            if daemon.poll() is not None or time.monotonic() > give_up_at:
                raise NoEngine(f"dockerd does not start: {(folder / 'dockerd.log').read_text()[-500:]}")
            time.sleep(0.2)
        yield Engine(compose, address)
    finally:
        daemon.terminate()
        daemon.wait(60)


def _compose_command() -> tuple[str, ...]:
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]) and subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
            return command
    raise NoEngine("there is no Docker Compose: on Debian, apt-get install docker-compose")


def _answers(environment: Mapping[str, str]) -> bool:
    variables = {**os.environ, **environment}
    return subprocess.run(["docker", "version"], env=variables, capture_output=True, check=False).returncode == 0


def _run(*command: str, environment: Mapping[str, str], limit_s: float) -> str:
    variables = {**os.environ, **environment}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=limit_s, check=False)
    if done.returncode:
        raise CommandFailed(f"{' '.join(command)} failed with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout
