"""A person at a terminal."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARLEY = ("-W", "error", "-m", "cli")
PATIENCE_S = 5.0


class Terminal:
    """A `parley` process with a terminal of its own, as a person sees it."""

    def __init__(self, *args: str) -> None:
        self._fd, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
        # The process takes the terminal as its controlling one, so that Ctrl-C and hidden prompts work.
        adopt = (
            "import fcntl,os,sys,termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
        )
        command = [sys.executable, "-c", adopt, *PARLEY, *args]
        self.process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, cwd=ROOT, start_new_session=True)
        os.close(child)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C, as late after the last output as a person would: CPython forgets one that comes just before it reads."""
        time.sleep(0.2)
        self.type("\x03")

    def expect(self, text: str) -> None:
        """Wait until `text` is shown after what was expected before; colours do not count."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.shown:
            if time.monotonic() > deadline or not self._read():
                raise AssertionError(f"{text!r} was not shown, but {self.shown!r}")
        self.shown = self.shown.partition(text)[2]

    def end(self) -> int:
        """Wait for the end and return the exit code; what is left stands in `shown`."""
        while self._read():
            pass
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)
        os.close(self._fd)

    def _read(self) -> bool:
        if not select.select([self._fd], [], [], PATIENCE_S)[0]:
            return False
        try:
            piece = os.read(self._fd, 4096).decode(errors="replace")
        except OSError:  # EIO: the other side is closed
            return False
        self.shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", piece)
        return bool(piece)
