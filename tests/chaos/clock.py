"""A clock for all processes of a stack that steps forwards and back, while intervals keep their length: see `clock.c`."""

import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")
CLOCK_VARIABLES = ("LD_PRELOAD", "CHAOS_CLOCK")
NS = 1_000_000_000


class SteppingClock:
    """The clock of a stack: the machine's clock plus an offset. It needs a C compiler."""

    def __init__(self, folder):
        self.offset_s = 0
        self._file, self._library = folder / "clock", folder / "clock.so"
        self.is_available = is_built(self._library)
        self._file.write_bytes(bytes(8))
        for path in (self._file, self._library) if self.is_available else ():
            path.chmod(0o755)  # the database runs as another user

    @property
    def variables(self):
        """The environment variables of a process that uses this clock; empty without a compiler."""
        return {"LD_PRELOAD": str(self._library), "CHAOS_CLOCK": str(self._file)} if self.is_available else {}

    def step_to(self, offset_s):
        """Set the offset, for all processes at once."""
        self.offset_s = offset_s
        with self._file.open("r+b") as file:
            file.write((offset_s * NS).to_bytes(8, "little", signed=True))


def is_built(library):
    """Compile the library, and return whether this machine can."""
    compiler = shutil.which("cc")
    if compiler is None:
        return False
    done = subprocess.run([compiler, "-O2", "-Wall", "-shared", "-fPIC", "-o", str(library), str(SOURCE)], capture_output=True, check=False)
    return done.returncode == 0
