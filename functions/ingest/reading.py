"""Reading a file in a process of its own, which may crash, swell or hang without harm: files come from anywhere."""

import ctypes
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from functions.ingest.block import Block
from functions.ingest.errors import BY_CODE, Corrupt, TooLarge
from parley.observability import logger

CPU_S = 60
# Of a reader that says nothing.
LONGEST_S = 180.0
_LOOK_S = 1.0
# Of Linux, prctl(2).
_PR_SET_DUMPABLE = 4


def read(path: str, name: str, *, cpu_s: int = CPU_S, longest_s: float = LONGEST_S) -> Iterator[Block]:
    """Yield the blocks of a file as they are read. Raises Unreadable or a kind of it, TooLarge where time or memory ran out."""
    child = _started(path, name, cpu_s)
    patience = _Patience(child, longest_s)
    end: object = False
    try:
        for line in patience.lines():
            said = json.loads(line)
            if isinstance(said, dict):
                end = said["end"]
            else:
                yield Block(*said)
    finally:
        patience.ended.set()
        child.kill()
        status = child.wait()
        if child.stdout:
            child.stdout.close()
    _check(end, status, name)


class _Patience:
    """Waits for each line of a child, and kills one that lets it wait too long. What is done between two lines does not count."""

    def __init__(self, child: subprocess.Popen[str], longest_s: float) -> None:
        self._child, self._longest_s = child, longest_s
        self._since: float | None = time.monotonic()
        self.ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def lines(self) -> Iterator[str]:
        """Yield the lines as they come."""
        for line in self._child.stdout or ():
            self._since = None
            yield line
            self._since = time.monotonic()

    def _watch(self) -> None:
        while not self.ended.wait(min(self._longest_s, _LOOK_S)):
            since = self._since
            if since is not None and time.monotonic() - since >= self._longest_s:
                self._child.kill()


def _hide() -> None:
    """Close this process's environment and memory, where the keys are, to the reader, which runs as the same user; only Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _started(path: str, name: str, cpu_s: int) -> subprocess.Popen[str]:
    """Start the reader with nothing of ours in its environment."""
    _hide()
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PATH": os.defpath, "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "functions.ingest.reader", path, name, str(cpu_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True, encoding="utf-8")  # noqa: S603 - our own module


def _check(end: object, status: int, name: str) -> None:
    if end is None:
        return
    if isinstance(end, str):
        raise BY_CODE.get(end, Corrupt)(name)
    logger.warning("a reader died", status=status)
    # Killed by us, by the kernel or by its limit of time: the file asks for too much. Anything else is a crash on it.
    raise TooLarge(f"status {status}") if status < 0 else Corrupt(f"status {status}")
