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

import pyte

from tests.support.time_limits import HANG_S

ROOT = Path(__file__).resolve().parents[2]
# The chat's prompt switches bracketed paste on, and waits for input.
PROMPT = "\x1b[?2004h"
PARLEY = ("-W", "error", "-m", "cli")


class Terminal:
    """A `parley` process in its own pseudo-terminal.

    `shown` is the output after the last expected text. `lines` is what a user sees: later drawing replaces earlier drawing.
    """

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
        # This terminal does not answer questions about its cursor.
        environment = os.environ | {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"}
        self.process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, cwd=ROOT, env=environment, start_new_session=True)
        os.close(child)
        self.shown = ""
        self._screen = pyte.HistoryScreen(200, 24, history=1000)
        self._drawing = pyte.ByteStream(self._screen)

    @property
    def lines(self) -> list[str]:
        """The lines on the screen and above it, without empty lines at the end."""
        above = ["".join(line[column].data for column in range(200)) for line in self._screen.history.top]
        lines = [line.rstrip() for line in (*above, *self._screen.display)]
        while lines and not lines[-1]:
            lines.pop()
        return lines

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
            raw = os.read(self._fd, 4096)
        except OSError:  # EIO: the process has closed its side
            return False
        self._drawing.feed(raw)
        output = raw.decode(errors="replace")
        self.shown += re.sub(r"(?!\x1b\[\?2004h)\x1b\[[0-9;?]*[A-Za-z]|\r", "", output)
        return bool(output)
