"""Runs the parser in a child process, which may crash, exhaust its memory or hang without harm: files are untrusted."""

import ctypes
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from functions.ingest.block import Block
from functions.ingest.errors import PARSER_ERRORS_BY_CODE, Corrupt, DocumentTooLarge
from parley.observability import logger

CPU_S = 60
# Of a reader that says nothing.
SILENCE_TIMEOUT_S = 180.0
_POLL_S = 1.0
# Of Linux, prctl(2).
_PR_SET_DUMPABLE = 4


def read_blocks(path: str, name: str, *, cpu_s: int = CPU_S, silence_timeout_s: float = SILENCE_TIMEOUT_S) -> Iterator[Block]:
    """Yield the blocks of a file as they are read. Raises Unreadable or a kind of it, TooLarge where time or memory ran out."""
    child = _start_child(path, name, cpu_s)
    silence_timeout = _SilenceTimeout(child, silence_timeout_s)
    end: object = False
    try:
        for line in silence_timeout.lines():
            record = json.loads(line)
            if isinstance(record, dict):
                end = record["end"]
            else:
                yield Block(*record)
    finally:
        silence_timeout.ended.set()
        child.kill()
        status = child.wait()
        if child.stdout:
            child.stdout.close()
    _check_exit(end, status, name)


class _SilenceTimeout:
    """Waits for each line of a child, and kills one that lets it wait too long. What is done between two lines does not count."""

    def __init__(self, child: subprocess.Popen[str], silence_timeout_s: float) -> None:
        self._child, self._silence_timeout_s = child, silence_timeout_s
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
        while not self.ended.wait(min(self._silence_timeout_s, _POLL_S)):
            since = self._since
            if since is not None and time.monotonic() - since >= self._silence_timeout_s:
                self._child.kill()


def _hide_process_memory() -> None:
    """Close this process's environment and memory, where the keys are, to the reader, which runs as the same user; only Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _start_child(path: str, name: str, cpu_s: int) -> subprocess.Popen[str]:
    """Start the reader with nothing of ours in its environment."""
    _hide_process_memory()
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PATH": os.defpath, "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "functions.ingest.parser_process", path, name, str(cpu_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True, encoding="utf-8")  # noqa: S603 - our own module


def _check_exit(end: object, status: int, name: str) -> None:
    if end is None:
        return
    if isinstance(end, str):
        raise PARSER_ERRORS_BY_CODE.get(end, Corrupt)(name)
    logger.warning("a reader died", status=status)
    # Killed by us, by the kernel or by its limit of time: the file asks for too much. Anything else is a crash on it.
    raise DocumentTooLarge(f"status {status}") if status < 0 else Corrupt(f"status {status}")
