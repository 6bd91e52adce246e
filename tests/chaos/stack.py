"""A stack that can lose any of its processes, its disk space, or all of it at once, and starts again with the same data."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import httpx2
import psycopg

from bench.harness.processes import environment, tree
from local.data_dir import DataDir
from local.ports import free_port
from local.services.database import DATABASE_NAME
from local.services.postgres import SUPERUSER
from tests.chaos.emulator import SEED

START_S = 600
GENEROUS = ("ThrottlePerSecond=100000", "ThrottleBurst=100000", "RatePerMinute=1000000", "MonthlyBudgetUsd=100000")


class StackFailed(Exception):
    """The stack did not start, or ended by itself. The message ends with its output."""


class ChaosStack:
    """`parley up` in `folder`. `died` counts how often the emulator ended by itself, which no fault may cause."""

    def __init__(self, folder, models, clock, *, seed, disk_mb):
        self.port, self.died, self.is_starting = free_port(), 0, False
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = DataDir(folder / "data")
        self.has_small_disk = disk_mb > 0 and mounted(self.data.path, disk_mb)
        self.http = httpx2.Client(base_url=self.url, timeout=60, trust_env=False)
        self._folder, self._clock, self._process = folder, clock, None
        options = ["--port", str(self.port), "--data", str(self.data.path), "--models", str(models), "--no-watch", "--workers", "12"]
        parameters = [word for parameter in GENEROUS for word in ("--parameter", parameter)]
        self._command = [sys.executable, "-m", "tests.chaos.emulator", "up", *options, *parameters]
        self._variables = {SEED: str(seed)}
        self._lock = threading.RLock()

    @property
    def log(self):
        return self._folder / "up.log"

    def start(self):
        """Start the stack and wait until it serves. A start that fails, as on a full disk, is repeated. Raises StackFailed in the end."""
        with self._lock:
            self.is_starting = True
            try:
                self._start_until_ready()
            finally:
                self.is_starting = False

    def _start_until_ready(self):
        ends = time.monotonic() + START_S
        self._launch()
        while not self.is_ready():
            if time.monotonic() > ends:
                raise StackFailed(f"the stack did not start:\n{self.log.read_text(errors='replace')[-3000:]}")
            if self._process.poll() is not None:
                self.kill()
                self._launch()
            time.sleep(0.5)

    def _launch(self):
        variables = os.environ | self._variables | self._clock.variables
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(self._command, env=variables, stdout=output, stderr=output, start_new_session=True)

    def kill(self):
        """Kill the emulator and all its descendants at once, like a power cut."""
        with self._lock:
            for pid in tree(self._process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()

    def restart(self):
        """Kill the stack and start it with the same data."""
        with self._lock:
            self.kill()
            self.start()

    def revive(self):
        """Start the stack if it has ended by itself, and count that."""
        with self._lock:
            if self._process.poll() is not None:
                self.died += 1
                self.kill()
                self.start()

    def close(self):
        self.http.close()
        if self._process:
            self.kill()
        if self.has_small_disk:
            subprocess.run(["umount", "--lazy", str(self.data.path)], check=False)

    def status(self):
        """Return the emulator's own view, or None while it is away."""
        with suppress(httpx2.TransportError):
            answer = self.http.get("/_local/status")
            return answer.json() if answer.status_code == 200 else None
        return None

    def service(self, name):
        """Return the process id and port of a service, or None while the emulator is away."""
        status = self.status()
        return status["services"][name] if status else None

    def workers(self):
        """Return the process ids of all workers and of the processes that they are forked from."""
        return [pid for pid in tree(self._process.pid) if environment(pid).get("_HANDLER")]

    def fire(self, schedule):
        """Run a schedule now. The run may end later."""
        with suppress(httpx2.TransportError):
            self.http.post(f"/_local/schedules/{schedule}", timeout=60)

    @contextmanager
    def database(self):
        """Connect to PostgreSQL itself as the superuser, whom no row security applies to."""
        password = json.loads((self.data.root / "secrets.json").read_text())[SUPERUSER]
        port = self.service("postgres")["port"]
        login = {"host": "127.0.0.1", "port": port, "user": SUPERUSER, "password": password, "dbname": DATABASE_NAME}
        with psycopg.connect(**login, autocommit=True) as connection:
            yield connection

    def files(self):
        """Return the keys of all files in S3, as they are on disk."""
        return {stored_key(path) for path in (self.data.root / "aws" / "s3").glob("*/[!.]*") if path.name != "bucket"}

    @contextmanager
    def full_disk(self):
        """Leave no byte on the disk until the end of the block."""
        ballast, is_over = self.data.root / "ballast", threading.Event()
        filling = threading.Thread(target=keep_full, args=(ballast, is_over))
        filling.start()
        try:
            yield
        finally:
            is_over.set()
            filling.join()
            ballast.unlink(missing_ok=True)

    def is_ready(self):
        """Return whether the stack serves and reaches its database."""
        with suppress(httpx2.TransportError):
            return self.http.get("/health/ready").status_code == 200
        return False


def stored_key(path):
    """Return the key of an object from its file, whose first line describes the object."""
    with path.open("rb") as file:
        return json.loads(file.readline())["name"]


def mounted(path, size_mb):
    """Mount a disk in memory of this size, and return whether the machine allows it."""
    path.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=755", "parley-chaos", str(path)], capture_output=True, check=False
    )
    return done.returncode == 0


def keep_full(ballast, is_over):
    """Write into the file `ballast` until the disk is full, again and again, because other processes free space."""
    with ballast.open("wb") as file:
        while not is_over.is_set():
            with suppress(OSError):
                while True:
                    os.write(file.fileno(), bytes(1 << 20))
            with suppress(OSError):
                while True:
                    os.write(file.fileno(), bytes(4096))
            is_over.wait(0.05)
