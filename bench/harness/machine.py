"""The machine, the package versions and the revision of a measurement."""

import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("fastapi", "mangum", "pydantic", "sqlalchemy", "psycopg", "openai", "awslambdaric", "uvicorn")


def header() -> str:
    """Return the date, the machine, the versions and the revision as Markdown."""
    lines = [
        f"- {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, revision {_revision()}",
        f"- {os.cpu_count()} cores, {_processor()}, {_memory_gb():.0f} GB of memory, {platform.system()} {platform.release()}",
        f"- load average at the start: {os.getloadavg()[0]:.1f}",
        f"- Python {platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in PACKAGES)}",
    ]
    return "\n".join(lines)


def wait_until_idle(*, limit_s: float = 15.0, look_s: float = 0.25) -> bool:
    """Wait until the processors are idle for nine tenths of `look_s` seconds; return whether that was so before `limit_s` seconds.

    A stack goes on working after a load, for example on titles and embeddings, and the next server to be measured would pay for it.
    """
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        before = _processor_ticks()
        time.sleep(look_s)
        idle, total = (after - start for after, start in zip(_processor_ticks(), before, strict=True))
        if idle >= total * 0.9:
            return True
    return False


def _processor_ticks() -> tuple[int, int]:
    """Return the idle and all ticks of all processors, from `/proc/stat` (proc_stat(5)), without those that other machines took."""
    user, nice, system, idle, waiting, *interrupts = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:8])
    return idle + waiting, user + nice + system + idle + waiting + sum(interrupts)


def _revision() -> str:
    revision = _git("rev-parse", "--short", "HEAD") or "unknown"
    return f"{revision} with changes" if _git("status", "--porcelain", "--untracked-files=no") else revision


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout.strip()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
