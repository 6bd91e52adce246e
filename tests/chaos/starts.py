"""Kill the whole stack at random moments of its start, and start it again from the same folder.

    python -m tests.chaos.starts --kills 50 --seed 1

Half of the kills end the emulator alone, so that its children must end by themselves; the others end every process at once, like a
power cut. Half of the kills meet a first start, which creates the database, the keys and the tables. The next start follows at once,
on the same port. It must serve, and know the users of all starts that had served from this folder before. On a machine so busy that a
service needs more than 30 s to start, starts fail without a kill.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from random import Random
from secrets import randbelow
from tempfile import TemporaryDirectory
from uuid import uuid4

import httpx2

from bench.harness.processes import tree
from local.ports import free_port

READY_S = 300
PASSWORD = "a pass phrase of several plain words"
PARAMETERS = ("EmailVerification=off",)
SHOWN_CHARACTERS = 2_000


class NotStarted(Exception):
    """The stack ended or did not serve in time. The message ends with its output."""


class KilledStack:
    """`parley up` of the product on one port and one data folder, with the users that it must know."""

    def __init__(self, folder):
        self.port, self.data, self._output = free_port(), folder / "data", folder / "up.log"
        self.users = []
        self._process = None

    def launch(self):
        parameters = [word for parameter in PARAMETERS for word in ("--parameter", parameter)]
        command = [sys.executable, "-m", "local", "up", "--port", str(self.port), "--data", str(self.data), "--no-watch", *parameters]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)

    def kill(self, *, with_children):
        for pid in tree(self._process.pid) if with_children else [self._process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def forget(self):
        """Delete the folder, so that the next start is a first start."""
        while self.data.exists():
            shutil.rmtree(self.data, ignore_errors=True)
        self.users = []

    def start(self):
        """Start the stack, and return the seconds until it serves. Raises `NotStarted`."""
        began = time.monotonic()
        self.launch()
        while b"Parley is up" not in self._output.read_bytes():
            if self._process.poll() is not None or time.monotonic() - began > READY_S:
                raise NotStarted(self._output.read_text(errors="replace")[-SHOWN_CHARACTERS:])
            time.sleep(0.05)
        return time.monotonic() - began

    def check_users(self):
        """Log in every known user and register one more. Returns a sentence for each refusal."""
        refusals = []
        with httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=READY_S, trust_env=False) as http:
            for email in self.users:
                if (status := post(http, "/auth/login", email).status_code) != 200:
                    refusals.append(f"{email} is unknown after the kill: {status}")
            email = f"{uuid4()}@example.com"
            answer = post(http, "/auth/register", email)
        # A registration that exceeded its time may have been stored.
        if answer.status_code not in (201, 409):
            return [*refusals, f"nobody can register after the kill: {answer.status_code} {answer.text}"]
        self.users.append(email)
        return refusals


def post(http, path, email):
    """Send the address and the password, again while a busy machine lets the function's first worker exceed its time."""
    ends = time.monotonic() + READY_S
    while (answer := http.post(path, json={"email": email, "password": PASSWORD})).status_code == 504 and time.monotonic() < ends:
        pass
    return answer


def kill_once(stack, random, *, ready_s):
    """Kill a start at a random moment, start again and return what happened and what was broken."""
    is_first, with_children = random.random() < 0.5, random.random() < 0.5
    if is_first:
        stack.forget()
    moment_s = random.uniform(0, ready_s)
    stack.launch()
    time.sleep(moment_s)
    stack.kill(with_children=with_children)
    what = f"{'first' if is_first else 'later'} start, {'all processes' if with_children else 'the emulator'} killed after {moment_s:.2f} s"
    try:
        took_s = stack.start()
        return f"{what}: serves after {took_s:.1f} s", stack.check_users()
    except NotStarted as error:
        return what, [f"the next start failed:\n{error}"]
    finally:
        stack.kill(with_children=True)


def main():
    """Run and exit with 1 if a start failed or lost a user."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None, help="seed of the random choices (default: a new one)")
    options = parser.parse_args()
    seed = randbelow(1_000_000) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    random, broken = Random(seed), 0
    with TemporaryDirectory(prefix="parley-starts-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the database runs as another user
        stack = KilledStack(folder)
        ready_s = stack.start()
        stack.check_users()
        stack.kill(with_children=True)
        for number in range(1, options.kills + 1):
            what, failures = kill_once(stack, random, ready_s=ready_s)
            print("\n".join([f"{number:3}  {what}", *(f"     {failure}" for failure in failures)]), flush=True)
            broken += bool(failures)
    print(f"{options.kills} kills, {broken} of which left a folder that the next start could not use")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
