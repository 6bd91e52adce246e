"""The parent's side of the sandbox: runs the parser of untrusted files in a child process.

The process boundary protects the worker: a file that crashes the parser, exhausts its memory or makes it hang only ends the
child. The child (`parser_process`) starts with an environment of paths alone, so it has no credentials, and cannot read this
process's memory. It limits its own processor time, memory and file size; this module kills it when it is silent for
too long, and at the caller's deadline. Blocks come back as JSON lines over a pipe, while the file is still being parsed.
"""

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
from parley.deadline import Deadline
from parley.observability import logger

CPU_S = 60
SILENCE_TIMEOUT_S = 180.0
_POLL_S = 1.0
# From <linux/prctl.h>; see prctl(2).
_PR_SET_DUMPABLE = 4


class ParserStopped(Exception):
    """The caller's deadline passed before the parser had finished. The file is not to blame."""


def read_blocks(
    path: str, name: str, *, cpu_s: int = CPU_S, silence_timeout_s: float = SILENCE_TIMEOUT_S, deadline: Deadline | None = None
) -> Iterator[Block]:
    """Parse the file at `path` in a child process and yield its blocks as they arrive.

    `name` is the file's original name. Raises DocumentTooLarge if time or memory ran out, or else the Unreadable that the parser reports.
    Raises ParserStopped if the deadline passes first. The child ends when the iterator does, even if the caller stops early.
    """
    child = _start_parser(path, name, cpu_s)
    timeout = _ParserTimeout(child, silence_timeout_s, deadline)
    end: object = False
    try:
        for line in timeout.lines():
            record = json.loads(line)
            if isinstance(record, dict):
                end = record["end"]
            else:
                yield Block(*record)
    finally:
        timeout.finished.set()
        child.kill()
        status = child.wait()
        if child.stdout:
            child.stdout.close()
    if end is False and timeout.is_deadline_past:
        raise ParserStopped
    _check_exit(end, status, name)


class _ParserTimeout:
    """Kills the child at the deadline, or if it takes too long to write a line.

    The time that the caller spends between two lines does not count.
    """

    def __init__(self, child: subprocess.Popen[str], timeout_s: float, deadline: Deadline | None) -> None:
        self._child = child
        self._timeout_s = timeout_s
        self._deadline = deadline
        self._waiting_since: float | None = time.monotonic()
        self.finished = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def is_deadline_past(self) -> bool:
        return self._deadline is not None and self._deadline.left_s <= 0

    def lines(self) -> Iterator[str]:
        """Yield the whole lines that the child writes, as they arrive."""
        for line in self._child.stdout or ():
            self._waiting_since = None
            if not line.endswith("\n"):
                return  # the child was killed while it wrote
            yield line
            self._waiting_since = time.monotonic()

    def _watch(self) -> None:
        left_s = self._deadline.left_s if self._deadline else _POLL_S
        while not self.finished.wait(max(min(self._timeout_s, left_s, _POLL_S), 0)):
            since = self._waiting_since
            is_silent = since is not None and time.monotonic() - since >= self._timeout_s
            if is_silent or self.is_deadline_past:
                self._child.kill()


def _start_parser(path: str, name: str, cpu_s: int) -> subprocess.Popen[str]:
    _hide_process_memory()
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PATH": os.defpath, "LC_ALL": "C.UTF-8"}
    # On Lambda, the interpreter is in /var/lang, and may find its own library there only by this variable of the runtime.
    environment |= {name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"}
    command = [sys.executable, "-m", "functions.ingest.parser_process", path, name, str(cpu_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True, encoding="utf-8")  # noqa: S603 - our own module


def _hide_process_memory() -> None:
    """On Linux, prevent other processes of this user, such as the parser, from reading this process's memory and environment."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)


def _check_exit(end: object, status: int, name: str) -> None:
    """Raise an error if the parser stopped early. `end` is an error code, None after success, or False if the parser died."""
    if end is None:
        return
    if isinstance(end, str):
        raise PARSER_ERRORS_BY_CODE.get(end, Corrupt)(name)
    logger.warning("parser_died", status=status)
    # A signal comes from our timeout, the kernel or the processor limit: the file needs too many resources. Otherwise the parser crashed.
    raise DocumentTooLarge(f"status {status}") if status < 0 else Corrupt(f"status {status}")
