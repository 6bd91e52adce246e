"""A fresh process that measures itself and prints what it took."""

import subprocess
from collections.abc import Mapping

from bench.servers import ServerFailed


def timed(command: list[str], environment: Mapping[str, str] | None = None) -> tuple[float, float]:
    """Run a command whose last words are two figures, and return them: ms, and ms of CPU. Raises ServerFailed."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"{command[-1]}:\n{done.stderr[-2000:]}")
    wall_ms, cpu_ms = map(float, done.stdout.split()[-2:])
    return wall_ms, cpu_ms
