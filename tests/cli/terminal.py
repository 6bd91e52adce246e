"""A user at a terminal."""

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

from tests.support.time_limits import HANG_S

ROOT = Path(__file__).resolve().parents[2]
PARLEY = ("-W", "error", "-m", "cli")


class Terminal:
    """A `parley` process in its own pseudo-terminal. `shown` is the output after the last expected text."""

    def __init__(self, *args: str) -> None:
        self._fd, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
        # The process makes the terminal its controlling terminal, so that Ctrl-C and hidden prompts work.
        # It resets SIGINT, which it would inherit as ignored from a test run in the background.
        adopt = (
            "import fcntl,os,signal,sys,termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); signal.signal(signal.SIGINT, signal.SIG_DFL); "
            "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
        )
        command = [sys.executable, "-c", adopt, *PARLEY, *args]
        self.process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, cwd=ROOT, start_new_session=True)
        os.close(child)
        self.shown = ""

    def type(self, text: str) -> None:
        """Send keystrokes."""
        os.write(self._fd, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C after a pause, as a user would: CPython loses an interrupt that arrives just before it reads."""
        time.sleep(0.5)
        self.type("\x03")

    def expect(self, text: str) -> None:
        """Wait until `text` appears after the previously expected text, ignoring colours."""
        deadline = time.monotonic() + HANG_S
        while text not in self.shown:
            if time.monotonic() > deadline or not self._read():
                raise AssertionError(f"{text!r} was not shown, but {self.shown!r}")
        self.shown = self.shown.partition(text)[2]

    def end(self) -> int:
        """Wait for the process to end and return its exit code. The remaining output is in `shown`."""
        while self._read():
            pass
        return self.process.wait(HANG_S)

    def close(self) -> None:
        """Kill the process and close the terminal."""
        self.process.kill()
        self.process.wait(HANG_S)
        os.close(self._fd)

    def _read(self) -> bool:
        if not select.select([self._fd], [], [], HANG_S)[0]:
            return False
        try:
            output = os.read(self._fd, 4096).decode(errors="replace")
        except OSError:  # EIO: the process has closed its side
            return False
        self.shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", output)
        return bool(output)
